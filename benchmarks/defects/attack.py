"""Defects of the channel attack: scenes, segmentation, silenced channels, rankings, statistics."""

from defects.defect import Defect, within

DEFECTS = [
    *within(
        "stimuli/scenes.py",
        "stimuli/test_scenes.py",
        Defect("one seed for all splits", "[config.seed, number, index]", "[config.seed, index]"),
        Defect("one seed for all seeds", "[config.seed, number, index]", "[number, index]"),
        Defect(
            "labels are shifted otherwise",
            "np.roll(label, offset, (0, 1))",
            "np.roll(label, offset, (1, 0))",
        ),
        Defect(
            "shifted along one axis", "random.integers(size).tolist()", "(0, random.integers(9))"
        ),
        Defect("sides are swapped", "((RIGHT,), (LEFT,)) if", "((LEFT,), (RIGHT,)) if"),
        Defect(
            "no texture is ambiguous",
            "random.random() < config.ambiguous",
            "random.random() < 0",
        ),
        Defect("seen textures are unseen", '"unseen": unseen_textures', '"unseen": seen_textures'),
    ),
    *within(
        "stimuli/scene_textures.py",
        "stimuli/test_scenes.py",
        Defect("upside down is left out", "[:, ::y, ::x]", "[:, ::x, ::x]"),
    ),
    *within(
        "stimuli/cityscapes.py",
        "stimuli/test_cityscapes.py",
        Defect("ids for train ids", "_train_ids()[ids]", "ids"),
        Defect("unknown ids are ignored", "UNKNOWN, np.uint8)", "IGNORED, np.uint8)"),
        Defect("instances for labels", '"_gtFine_labelIds.png")', '"_gtFine_instanceIds.png")'),
    ),
    *within(
        "networks/surgery/ablation.py",
        "networks/surgery/test_ablation.py",
        Defect(
            "the hook stays after an error",
            "    try:\n        yield\n    finally:\n        handle.remove()",
            "    yield\n    handle.remove()",
        ),
        Defect(
            "the mean for zero",
            'values: Float[Tensor, " c"] | float = 0.0,\n) -> Iterator',
            'values: Float[Tensor, " c"] | float = 1.0,\n) -> Iterator',
        ),
        Defect(
            "negative channels count from behind",
            "if len(index) and not 0 <=",
            "if len(index) and not -9 <=",
        ),
    ),
    *within(
        "networks/surgery/resumable.py",
        "networks/surgery/test_resumable.py",
        Defect(
            "answers change in place",
            "if self.changes else self.output",
            "if False else self.output",
        ),
        Defect("changes are not noticed", "versions != _versions(output)", "False"),
        Defect("one answer for all calls", "waiting.pop(0)", "waiting[0]"),
        Defect("forward is left behind", "            del module.forward\n", "            pass\n"),
        Defect(
            "later calls are kept, too",
            "if self._target not in answers:\n                kept",
            "if True:\n                kept",
        ),
        Defect(
            "a head without padding is refused",
            "network.run if isinstance(network, Repadded) else network",
            "network",
        ),
    ),
    *within(
        "networks/models/segmenters.py",
        "networks/models/test_segmenters.py",
        Defect("the trunk is trained", "requires_grad=False", "requires_grad=True"),
        Defect("its batch norms move", "        self.trunk.eval()\n", ""),
        Defect("both ramps rise", "1 - rising if index % 2 else rising", "rising"),
        Defect(
            "the head is not padded",
            "return repad(network, config.padding)",
            "return repad(network, 'as_built')",
        ),
    ),
    *within(
        "networks/training/segmentation.py",
        "networks/training/test_segmentation.py",
        Defect("labels are not mirrored", "labels.flip(2), labels)", "labels, labels)"),
        Defect("ignored pixels count", "ignore_index=IGNORED", "ignore_index=-1"),
        Defect(
            "predictions in training mode", "    network.eval()\n    for batch", "    for batch"
        ),
        Defect(
            "one order for all epochs", "epoch_generator(seed, epoch)", "epoch_generator(seed, 1)"
        ),
    ),
    *within(
        "measures/segmentation.py",
        "measures/test_segmentation.py",
        Defect("absent classes count as 0", ".nanmean(-1)", ".nan_to_num(0).mean(-1)"),
        Defect(
            "rows alone in the union",
            "confusion.sum(-1) + confusion.sum(-2) - both",
            "confusion.sum(-1)",
        ),
        Defect(
            "ignored pixels are class 0",
            "torch.where(counted, rows * classes, self._size)",
            "torch.where(counted, rows * classes, 0)",
        ),
        Defect(
            "parts are not told apart", "(images * count + parts)", "(images * count + 0 * parts)"
        ),
    ),
    *within(
        "measures/channel_statistics.py",
        "measures/test_channel_statistics.py",
        Defect(
            "image and mirror are swapped",
            "maps, mirrored = _both_ways(network",
            "mirrored, maps = _both_ways(network",
        ),
        Defect(
            "kernel flip without the flip",
            "_both_ways(other, layer, batch)",
            "_both_ways(network, layer, batch.flip(3))",
        ),
        Defect("rms without the root", "squared.mean((1, 2)).sqrt()", "squared.mean((1, 2))"),
        Defect("the middle column counts twice", "maps.shape[2] // 2", "-(-maps.shape[2] // 2)"),
        Defect(
            "up and down for left and right",
            "halves_differ(probed), halves_differ(probed.transpose(1, 2))",
            "halves_differ(probed.transpose(1, 2)), halves_differ(probed)",
        ),
        Defect("a mean of batches", "self._count += len(maps)", "self._count += 1"),
    ),
    *within(
        "measures/channel_rankings.py",
        "measures/test_channel_rankings.py",
        Defect("the last first", "descending=True", "descending=False"),
        Defect(
            "left is right",
            '"left": lambda statistics: _difference',
            '"left": lambda statistics: -_difference',
        ),
        Defect(
            "signed for absolute",
            "_difference(statistics).abs().mean(0)",
            "_difference(statistics).mean(0)",
        ),
        Defect(
            "draws are not matched",
            "stratum[random_channels(len(stratum), wanted, generator)]",
            "stratum[:wanted]",
        ),
    ),
    *within(
        "measures/channel_attack.py",
        "measures/test_channel_attack.py",
        Defect("zero for the mean", "means.to(latent) if each.to_mean else 0.0", "0.0"),
        Defect("one group", "* groups // count", "* 0"),
        Defect(
            "left is the whole",
            "round(left * size[1]) : round(right * size[1])",
            "round(left * size[1]) :",
        ),
        Defect(
            "progress counts attacks",
            "work.on_progress(batch.stop - batch.start)",
            "work.on_progress(len(attacks))",
        ),
    ),
    *within(
        "measures/channel_attack_table.py",
        "measures/test_channel_attack_table.py",
        Defect(
            "the sign of the excess",
            "excess = float(draws.mean()) - miou",
            "excess = miou - float(draws.mean())",
        ),
        Defect(
            "p can be 0",
            "(1 + (draws <= miou).sum()) / (1 + len(draws))",
            "(draws <= miou).sum() / len(draws)",
        ),
        Defect("ties do not hurt as much", "(draws <= miou)", "(draws < miou)"),
        Defect(
            "matched draws for all",
            'draws[1] if line["ranking"] == "overall" and line["top"] else []',
            "draws[1]",
        ),
        Defect(
            "matched draws for bands",
            'line["ranking"] == "overall" and line["top"]',
            'line["ranking"] == "overall"',
        ),
        Defect(
            "groups without images count",
            "sizes = mious, without[:, there, number]",
            "sizes = mious, without[:, :, number]",
        ),
        Defect("a p of nothing", "if np.isnan(miou) or np.isnan(draws).any():", "if False:"),
        Defect("seeds are not combined", "combine_pvalues(rows[name])[1]", "rows[name].min()"),
        Defect(
            "right minus left",
            'leaning["left"] - leaning["right"]',
            'leaning["right"] - leaning["left"]',
        ),
        Defect("held out beside the paper's", 'protocol="released"', 'protocol="held_out"'),
    ),
    *within(
        "measures/intervals.py",
        "measures/test_intervals.py",
        Defect("pseudovalues of one group less", "(groups - 1) * without", "groups * without"),
    ),
    *within(
        "experiments/channel_attack/planned_attacks.py",
        "experiments/channel_attack/test_planned_attacks.py",
        Defect(
            "tops without the first",
            "for name in config.rankings for number",
            "for name in config.rankings[:1] for number",
        ),
        Defect("draws do not depend on the seed", "manual_seed(config.seed)", "manual_seed(0)"),
        Defect(
            "the mean becomes 0",
            "Attack(orders[name][first:last], replacement == MEAN)",
            "Attack(orders[name][first:last])",
        ),
    ),
    *within(
        "experiments/channel_attack/train.py",
        "experiments/channel_attack/test_settings.py -k default_cells",
        Defect("each cell is tried", "lru_cache(maxsize=256)", "lru_cache(maxsize=0)"),
    ),
    *within(
        "experiments/channel_attack/train.py",
        "integration/test_channel_attack.py",
        Defect(
            "colours of ImageNet",
            "mean, std = map(torch.tensor, train.colours)",
            "mean, std = map(torch.tensor, (IMAGENET_MEAN, IMAGENET_STD))",
        ),
    ),
    *within(
        "experiments/channel_attack/attack.py",
        "integration/test_channel_attack.py",
        Defect(
            "the ranking's images in place of the test's",
            "protocol.split, work, colours",
            '"ranking", work, colours',
        ),
    ),
    *within(
        "networks/models/segmenter_weights.py",
        "networks/models/test_segmenters.py",
        Defect("half of the weights will do", "frozenset(expected)\n", "frozenset()\n"),
        Defect("the trunk's colours are forgotten", "stored or config.colours or", "stored or"),
        Defect("another number of classes", "if known != classes:", "if False:"),
        Defect("the auxiliary head is loaded", "if not name.startswith(AUXILIARY)}", "}"),
    ),
    *within(
        "networks/surgery/latent.py",
        "experiments/channel_attack/test_settings.py",
        Defect(
            "channels may be last",
            "if not 1 / STRETCHED <= stretched <= STRETCHED:",
            "if False:",
        ),
    ),
    *within(
        "stimuli/labelled_photographs.py",
        "stimuli/test_cityscapes.py",
        Defect("labels are interpolated", "Image.Resampling.NEAREST", "Image.Resampling.BILINEAR"),
        Defect("a key of names", "_checksum(path, stat.st_size, stat.st_mtime_ns)", "1"),
        Defect("a key without cities", 'f"{path.parent.name}/{path.name}"', "path.name"),
    ),
    *within(
        "stimuli/voc.py",
        "stimuli/test_voc.py",
        Defect("all sizes", "if size == common[0][0]", "if size"),
        Defect("borders are unknown", "labels[labels != IGNORED]", "labels[labels != 254]"),
    ),
    *within(
        "measures/segmentation.py",
        "measures/test_segmentation.py",
        Defect("rings end a pixel later", "right=True", "right=False"),
    ),
    *within(
        "measures/classifier_attack.py",
        "measures/test_classifier_attack.py",
        Defect("the mean for zero", "if each.to_mean else 0.0", "if not each.to_mean else 0.0"),
        Defect(
            "agreement with the last attack", "answers == answers[:1]", "answers == answers[-1:]"
        ),
    ),
    *within(
        "experiments/channel_attack/classifiers.py",
        "experiments/channel_attack/test_classifiers.py",
        Defect("all photographs rank", "numbers % 2 == 0", "numbers % 2 < 2"),
        Defect(
            "labels in the order of the photographs",
            "pd.factorize(folders, sort=True)",
            "pd.factorize(folders)",
        ),
        Defect("an agreement of a band", "& planned.top]", '& planned.band.str.startswith("0-")]'),
    ),
    *within(
        "experiments/channel_attack/cells.py",
        "experiments/channel_attack/test_settings.py",
        Defect(
            "the latent is a setting of the training",
            "if not is_custom(row.arch):",
            "if False:",
        ),
        Defect(
            "test scenes are part of the training's",
            'inputs={} if weights else {"scenes": f"scenes/{_training(source)}"}',
            'inputs={} if weights else {"scenes": f"scenes/{source}"}',
        ),
    ),
]
