"""Defects of what is learned: trainings of networks and readouts, and the ridge regression."""

from defects.defect import Defect, within

DEFECTS = [
    *within(
        "experiments/permutenet/train.py",
        "experiments/permutenet/test_train.py",
        Defect(
            "test images choose the epoch",
            'in ("train", "validation")',
            'in ("train", "test")',
        ),
        Defect(
            "train images choose the epoch",
            'in ("train", "validation")',
            'in ("train", "train")',
        ),
        Defect("order and locations follow no seed", "seed=cell.seed, work", "seed=0, work"),
        Defect("weights follow no seed", "train.answers, cell.seed,", "train.answers, 0,"),
    ),
    *within(
        "experiments/augshift/train.py",
        "experiments/augshift/test_train.py",
        Defect("test images choose the epoch", '"validation", UNSHIFTED', '"test", UNSHIFTED'),
        Defect(
            "validation images are shifted",
            '"validation", UNSHIFTED',
            '"validation", cell.augmentation',
        ),
        Defect("order and crops follow no seed", "seed=cell.seed, work", "seed=0, work"),
    ),
    *within(
        "networks/training/augshift.py",
        "networks/training/test_augshift.py",
        Defect(
            "predictions in training mode",
            "network.eval().to(memory_format",
            "network.to(memory_format",
        ),
        Defect("labels of other images", "labels[images].to(", "labels[: len(images)].to("),
        Defect(
            "one view flipped and not the other",
            "[crops.batch(images, view, mirrored) for view in offsets]",
            "[crops.batch(images, v, None if i else mirrored) for i, v in enumerate(offsets)]",
        ),
        Defect("flips never", "generator=generator) < 1 / 2", "generator=generator) < 0"),
        Defect("flips always", "generator=generator) < 1 / 2", "generator=generator) < 2"),
        Defect(
            "the same flips for every batch",
            "else mirrored[batch]",
            "else mirrored[: training.batch_size]",
        ),
        Defect(
            "both views at one offset",
            "(views, count, 2), generator=generator)",
            "(1, count, 2), generator=generator).expand(views, -1, -1)",
        ),
        Defect(
            "rows and columns at one offset",
            "(views, count, 2), generator=generator)",
            "(views, count, 1), generator=generator).expand(-1, -1, 2)",
        ),
        Defect(
            "the largest offset is never drawn",
            "crops.offsets, (views",
            "crops.offsets - 1, (views",
        ),
        Defect(
            "the same offsets for every batch",
            "offsets[:, batch], flips",
            "offsets[:, : training.batch_size], flips",
        ),
        Defect(
            "every epoch is the first", "epoch_generator(seed, epoch)", "epoch_generator(seed, 1)"
        ),
        Defect(
            "the last whole batch is left out",
            "range(0, count - training.batch_size + 1,",
            "range(0, count - training.batch_size,",
        ),
        Defect(
            "steps of the validation are counted",
            "unheard = replace(work, on_progress=silent)",
            "unheard = replace(work)",
        ),
        Defect(
            "answers stand at other images",
            ".repeat_interleave(len(offsets))",
            ".repeat(len(offsets))",
        ),
        Defect(
            "predictions without autocast",
            "with torch.inference_mode(), work.autocast():",
            "with torch.inference_mode():",
        ),
        Defect(
            "training without autocast", "        with work.autocast():\n", "        if True:\n"
        ),
        Defect("compile is ignored", "if training.compile:", "if not training:"),
    ),
    *within(
        "networks/models/augshift.py",
        "networks/models/test_augshift.py",
        Defect("no gradient by the second latents", "(first, second)", "(first, second.detach())"),
        Defect("latents averaged in bfloat16", ".float().mean((2, 3))", ".mean((2, 3)).float()"),
        Defect(
            "logits in bfloat16",
            "enabled=False",
            "enabled=torch.is_autocast_enabled(latents.device.type)",
        ),
        Defect("mean and sum swapped", 'config.loss == "sum"', 'config.loss != "sum"'),
        Defect("no weight of the latents", "config.latent_weight * mse_loss", "mse_loss"),
        Defect("labels of other views", "labels.repeat(", "labels.repeat_interleave("),
        Defect("weights follow no seed", "torch.manual_seed(seed)", "torch.manual_seed(0)"),
        Defect("one crop for two", "return max(part.crops", "return min(part.crops"),
        Defect(
            "the control draws latents together",
            '"two_crops": Method(crops=2)',
            '"two_crops": Method(crops=2, latents=True)',
        ),
    ),
    *within(
        "networks/training/canvases.py",
        "networks/training/test_canvases.py",
        Defect(
            "answers to other images",
            "train.targets(images, locations)",
            "train.targets(images.flip(0), locations.flip(0))",
        ),
        Defect(
            "validation in training mode",
            "    network.eval()\n    right = 0",
            "    right = 0",
        ),
        Defect(
            "test in training mode", "network.eval().to(memory_format", "network.to(memory_format"
        ),
        Defect("flips never", "generator=generator) < 1 / 2", "generator=generator) < 0"),
        Defect(
            "the same flips for every batch",
            "mirrored[chosen]\n",
            "mirrored[: len(chosen)]\n",
        ),
        Defect(
            "the same locations for every batch",
            "locations[chosen], None",
            "locations[: len(chosen)], None",
        ),
        Defect(
            "every epoch is the first", "epoch_generator(seed, epoch)", "epoch_generator(seed, 1)"
        ),
        Defect(
            "validation uses up the orders of the training",
            "other_orders(network, VALIDATION_SEED)",
            "other_orders(nn.Identity(), VALIDATION_SEED)",
        ),
        Defect(
            "the test draws other orders each time",
            "other_orders(network, TEST_SEED)",
            "other_orders(nn.Identity(), TEST_SEED)",
        ),
        Defect("loss in bfloat16", "cross_entropy(logits.float(),", "cross_entropy(logits,"),
        Defect(
            "accuracy per tile", "return right / len(pairs[0])", "return right / len(data.labels)"
        ),
        Defect(
            "a location shares its orders",
            "torch.randperm(grid * count, generator=torch.Generator().manual_seed(TEST_SEED))",
            "torch.arange(grid * count)",
        ),
        Defect(
            "classes of the train images alone", "for name in SPLITS)", 'for name in ["train"])'
        ),
        Defect(
            "tasks swapped",
            "Task(lambda labels, locations: locations,",
            "Task(lambda labels, locations: labels,",
        ),
        Defect(
            "the last image is never drawn",
            "randperm(count, generator",
            "randperm(count - 1, generator",
        ),
        Defect("compile is ignored", "if config.compile:", "if not config:"),
        Defect(
            "right and predicted swapped",
            "(rows * test.answers + predictions).bincount",
            "(locations * test.answers**2 + predictions * test.answers + test.targets(images,"
            " locations)).bincount",
        ),
    ),
    *within(
        "networks/training/loop.py",
        "networks/training/test_loop.py",
        Defect("the schedule stands still", "        schedule.step()\n", ""),
        Defect("dropout has no seed", "        torch.default_generator.manual_seed(layers)\n", ""),
        Defect(
            "dropout is the same in every epoch",
            "layers = _seed_of(seed, epoch)",
            "layers = _seed_of(seed, 0)",
        ),
        Defect("a GPU is not seeded", "        gpu.manual_seed(seed)", "        pass"),
        Defect(
            "a GPU is left as it was seeded",
            "            gpu.set_rng_state(before)\n",
            "            pass\n",
        ),
        Defect(
            "dropout repeats order and flips",
            "_seed_of(seed, epoch) + FOR_LAYERS",
            "_seed_of(seed, epoch)",
        ),
        Defect(
            "trainings change what the caller draws",
            "with torch.random.fork_rng([]), _seeded_gpu(",
            "with _seeded_gpu(",
        ),
        Defect("gradients add up", "        optimiser.zero_grad(set_to_none=True)\n", ""),
        Defect("trained in evaluation mode after an epoch", "    model.train()\n", ""),
        Defect(
            "the last of equal epochs is kept",
            "scores.index(max(scores)) + 1",
            "len(scores) - scores[::-1].index(max(scores))",
        ),
        Defect("the worst epoch is kept", "scores.index(max(scores))", "scores.index(min(scores))"),
        Defect("kept weights go on learning", "name: tensor.clone() for", "name: tensor for"),
        Defect("loss of the last step alone", "history.sum(1).mean()", "history[-1].sum()"),
        Defect("seeds and epochs collide", "seed * SEEDS_APART + epoch", "seed + epoch"),
        Defect(
            "the last losses are not looked at", "rest = len(history) % CHECKED_EVERY", "rest = 0"
        ),
        Defect(
            "a finished training is begun again",
            'if 0 < len(done["losses"]) < epochs:',
            'if 0 < len(done["losses"]):',
        ),
        Defect(
            "the optimiser is not stored",
            '"model": model, "optimiser": optimiser, ',
            '"model": model, ',
        ),
        Defect("the schedule is not stored", ', "schedule": schedule}', "}"),
        Defect(
            "weights that are not finite are stored",
            "if tensor.is_floating_point() and not",
            "if tensor.is_complex() and not",
        ),
        Defect(
            "the steps of earlier processes do not count",
            '"steps"] += len(history)',
            '"steps"] += 0',
        ),
        Defect(
            "nobody is told of epochs", "        work.on_epoch(epoch, losses[-1], scores[-1])\n", ""
        ),
    ),
    *within(
        "networks/training/config.py",
        "networks/training/test_config.py",
        Defect("SGD without weight decay", "        weight_decay=config.weight_decay,\n", ""),
        Defect("Adam with decoupled decay", "torch.optim.Adam(", "torch.optim.AdamW("),
        Defect(
            "the schedule is of one epoch",
            "*config.build(network, config.epochs * steps)",
            "*config.build(network, steps)",
        ),
        Defect("the last epoch is always kept", "keep=config.keep", 'keep="last"'),
        Defect(
            "steps of one epoch are foretold", "on_total(config.epochs * steps)", "on_total(steps)"
        ),
        Defect(
            "Adam with a momentum is not refused",
            "if (value is not None) != needed:",
            "if value is None and needed:",
        ),
    ),
    *within(
        "networks/readouts/convolutional.py",
        "networks/readouts/test_convolutional.py",
        Defect(
            "no ReLU between convolutions",
            "torch.relu(norm(convolution(features)))",
            "norm(convolution(features))",
        ),
        Defect(
            "the last BatchNorm in bfloat16",
            "norm(convolution(features).float())",
            "norm(convolution(features)).float()",
        ),
        Defect("dropped to a tenth too early", "round(steps * 2 / 3)", "round(steps / 3)"),
        Defect(
            "batches in one order",
            "order = torch.randperm(len(features), generator=generator)",
            "order = torch.arange(len(features))",
        ),
        Defect("patterns share their seeds", 'f"{pattern} {seed}".encode()', 'f"{seed}".encode()'),
        Defect(
            "heads share the first seed",
            ".manual_seed(seed) for seed",
            ".manual_seed(seeds[0]) for seed",
        ),
        Defect("left in training mode", "return readouts.eval(), torch", "return readouts, torch"),
        Defect("loss of an epoch's last step", "epoch.mean(0) for epoch", "epoch[-1] for epoch"),
        Defect("half_mse is ignored", "config.loss_scale * loss(", "loss("),
        Defect("weights decay no more", "        weight_decay=config.weight_decay,\n", ""),
        Defect("a sigmoid on the paper's head", "if self.bounded else maps", "if True else maps"),
        Defect("kernels overlap between heads", "groups=1 if layer == 0 else heads", "groups=1"),
    ),
    *within(
        "networks/readouts/config.py",
        "networks/readouts/test_convolutional.py",
        Defect(
            "padding on one side", "self.kernel_size - 1 - 2 * self", "self.kernel_size - 1 - self"
        ),
        Defect(
            "epochs with a part of a batch",
            "(images // self.batch_size)",
            "-(-images // self.batch_size)",
        ),
        Defect(
            "the key lacks the padding of a readout",
            'self.model_dump(exclude={"ridge"})',
            'self.model_dump(exclude={"ridge", "padding"})',
        ),
        Defect(
            "the key lacks the penalties of ridge",
            'include={"head", "kernel_size", "ridge"}',
            'include={"head", "kernel_size"}',
        ),
        Defect("half for the whole", "0.5 if self.loss", "2.0 if self.loss"),
    ),
    *within(
        "networks/readouts/checks.py",
        "experiments/posenet/test_readouts.py experiments/posenet/test_settings.py",
        Defect("seeds of a solved readout", "    if len(seeds) > 1:", "    if len(seeds) > 99:"),
        Defect("memory of all blocks", "sum(stop - start for start, stop in ranges)", "1"),
    ),
    *within(
        "networks/readouts/upsampled_loss.py",
        "networks/readouts/test_upsampled_loss.py",
        Defect(
            "corners aligned", 'large, mode="linear")', 'large, mode="linear", align_corners=True)'
        ),
        Defect(
            "per row, not per pixel", "targets.shape[-2] * targets.shape[-1]", "targets.shape[-2]"
        ),
        Defect("rows for columns", "@ self.gram_columns", "@ self.gram_rows"),
    ),
    *within(
        "networks/readouts/held_out.py",
        "networks/readouts/test_held_out.py",
        Defect(
            "crops are held out, not photographs",
            "torch.tensor([photograph in chosen for photograph in photographs])",
            "torch.rand(len(photographs), generator=generator) < share",
            tests="networks/readouts/test_held_out.py networks/readouts/test_ridge.py",
        ),
        Defect(
            "nothing is left to train on",
            "min(len(names) - 1, math.ceil(share * len(names)))",
            "math.ceil(share * len(names))",
        ),
        Defect(
            "the choice depends on the order of the images",
            "sorted(set(photographs))",
            "list(dict.fromkeys(photographs))",
        ),
        Defect("a single photograph is held out", "if len(names) < 2:", "if not names:"),
    ),
    *within(
        "networks/readouts/ridge.py",
        "networks/readouts/test_ridge.py",
        Defect("rounding errors are inputs", "ROUNDING = 3e-3", "ROUNDING = 0.0"),
        Defect(
            "half precision's steps are inputs", "HALF_RESOLUTION = 1e-3", "HALF_RESOLUTION = 0.0"
        ),
        Defect(
            "held-out images are fitted, too",
            "(fit, ~held_out[images])",
            "(fit, torch.ones_like(held_out[images]))",
        ),
        Defect("the last fit lacks the held-out images", "    fit.include(held)\n", ""),
        Defect("penalties add up", ".add_(penalty - before)", ".add_(penalty)"),
        Defect(
            "the intercept keeps the offset",
            "    weights[-1] -= offset.double() @ weights[:-1]\n",
            "",
        ),
        Defect("sums of large values", "offset = x.flatten(0, 1).mean(0)", "offset = offset"),
        Defect("the worst penalty", "errors.argmin(0)", "errors.argmax(0)"),
        Defect(
            "no correlation of inputs with the target's mean",
            " - torch.outer(mean, mean_target)",
            "",
        ),
        Defect(
            "positions follow no seed",
            "torch.Generator().manual_seed(seed)",
            "torch.Generator().manual_seed(0)",
        ),
        Defect("memory of one matrix", "MATRICES = 4", "MATRICES = 1"),
    ),
]
