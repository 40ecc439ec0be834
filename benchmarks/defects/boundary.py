"""Defects of the boundary study."""

from defects.defect import Defect, within

DEFECTS = [
    *within(
        "stimuli/red_green.py",
        "stimuli/test_red_green.py",
        Defect("splits share images", "        first += count // 2\n", ""),
        Defect("twins keep their height", "tops + MOVED * (1 - classes)", "tops + MOVED * classes"),
        Defect("colours tell no class", "(GREEN, RED)\n", "(RED, GREEN)\n"),
    ),
    *within(
        "stimuli/corner_patches.py",
        "stimuli/test_corner_patches.py",
        Defect(
            "the second patch is mirrored",
            "images[1, 0, -height:, -width:] = patch",
            "images[1, 0, -height:, -width:] = patch.flip(1)",
        ),
    ),
    *within(
        "stimuli/quadrants.py",
        "stimuli/test_quadrants.py",
        Defect(
            "both places are one",
            "pad(tiles, (beyond, near) * 2)",
            "pad(tiles, (near, beyond) * 2)",
        ),
        Defect(
            "a released border is of pixels, too",
            'if self.kind == "black" else 0',
            "if True else 0",
        ),
    ),
    *within(
        "stimuli/photo_splits.py",
        "stimuli/test_photo_splits.py",
        Defect(
            "validation photographs are train ones, too",
            '"train": train[~held_out]',
            '"train": train',
        ),
    ),
    *within(
        "networks/models/stacked_convnets.py",
        "networks/models/test_stacked_convnets.py",
        Defect("F-Conv pads as S-Conv", "side - 1 if config.padding == FULL", "side // 2 if True"),
        Defect("all classifiers have one seed", "torch.manual_seed(seed)", "torch.manual_seed(0)"),
        Defect("features are averages", ".amax((2, 3))", ".mean((2, 3))"),
    ),
    *within(
        "networks/models/place_classifiers.py",
        "networks/models/test_place_classifiers.py",
        Defect("logits are read as maps", "if found[OUTPUT].ndim != 4:", "if False:"),
        Defect(
            "the last convolution is padded", "convolutions[0].padding", "convolutions[-1].padding"
        ),
        Defect("weights count as maps", "if id(saved) not in parameters:", "if True:"),
    ),
    *within(
        "networks/training/stacked.py",
        "networks/training/test_stacked.py",
        Defect(
            "one epoch for all",
            "better = found < best if",
            "better = (found < best).all().expand(len(best)) if",
        ),
        Defect("the worst epoch is kept", "found < best", "found > best"),
        Defect(
            "losses of all seeds are one",
            'reduction="none").mean(0)',
            'reduction="none").mean().expand(logits.shape[1])',
        ),
    ),
    *within(
        "networks/training/places.py",
        "networks/training/test_places.py",
        Defect("black is the mean colour", 'if self.config.kind == "released":', "if True:"),
        Defect(
            "a seed draws no order", "epoch_generator(seed, epoch)", "epoch_generator(0, epoch)"
        ),
        Defect(
            "colours of the weights are forgotten",
            'places, self.config), "imagenet", self.colours)',
            'places, self.config), "imagenet")',
        ),
        Defect(
            "tiles and places are mistaken",
            "self.tiles[chosen // PLACES]",
            "self.tiles[chosen % len(self.tiles)]",
        ),
    ),
    *within(
        "networks/readouts/logistic.py",
        "networks/readouts/test_logistic.py",
        Defect(
            "train images choose the penalty",
            "readout.accuracy_on(validation)",
            "readout.accuracy_on(train)",
        ),
        Defect(
            "the weakest penalty wins", "in sorted(strengths)", "in sorted(strengths, reverse=True)"
        ),
    ),
    *within(
        "measures/knees.py",
        "measures/test_knees.py",
        Defect("the first fall counts", "last = above[-1]", "last = above[0]"),
        Defect(
            "a knee is at a measured width",
            "return float(borders[last] + share * (borders[last + 1] - borders[last]))",
            "return float(borders[last])",
        ),
    ),
    *within(
        "measures/ring_profiles.py",
        "measures/test_ring_profiles.py",
        Defect(
            "rings are counted from the middle",
            "np.arange(1, len(values) + 1)",
            "np.arange(len(values), 0, -1)",
        ),
    ),
    *within(
        "measures/border_tables.py",
        "measures/test_border_tables.py",
        Defect(
            "the error reaches half as far",
            '"error_reach": 2 * distance',
            '"error_reach": distance',
        ),
        Defect(
            "the best photograph counts",
            "of_row.error_distance.median()",
            "of_row.error_distance.min()",
        ),
        Defect(
            "gaps have the other sign",
            "ordered.accuracy.iloc[0] - ordered.accuracy.iloc[-1]",
            "ordered.accuracy.iloc[-1] - ordered.accuracy.iloc[0]",
        ),
    ),
    *within(
        "experiments/boundary/distance.py",
        "experiments/boundary/test_distance.py",
        Defect(
            "test tiles are train tiles",
            'inputs[split].arrays["pixels"]',
            'inputs["train"].arrays["pixels"]',
        ),
        Defect("one image needs no memory", "self.training.batch_size if", "1 if"),
    ),
    *within(
        "experiments/boundary/reach.py",
        "experiments/boundary/test_reach.py",
        Defect("trained weights are forgotten", 'if "network" in inputs:', "if False:"),
        Defect("rings are pixels", "float(d * reach.stride)", "float(d)"),
        Defect("half of what matters is left out", "ceil(needed /", "ceil(needed / 2 /"),
        Defect(
            "nothing is left out",
            "_pictures(cell, pictures, room - context",
            "_pictures(cell, pictures, 0 * room",
        ),
    ),
    *within(
        "experiments/boundary/red_green.py",
        "experiments/boundary/test_red_green.py",
        Defect(
            "validation images are dissimilar",
            "(splits[name].similar, splits[name].classes)",
            "(splits[name].dissimilar, splits[name].classes)",
        ),
        Defect("similar is dissimilar", "_right(logits[1], labels)", "_right(logits[0], labels)"),
    ),
    *within(
        "experiments/boundary/cells.py",
        "experiments/boundary/test_settings.py",
        Defect(
            "reach is of the widest border",
            "section.borders_of(row)[0]",
            "section.borders_of(row)[-1]",
        ),
        Defect(
            "smaller numbers of images are all",
            '{"train_limit": size.images}',
            '{"train_limit": None}',
        ),
    ),
    *within(
        "plan.py",
        "experiments/boundary/test_settings.py",
        Defect("shared results are computed twice", 'step.shared_with or f"', 'f"'),
    ),
]
