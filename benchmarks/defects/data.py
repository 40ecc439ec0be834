"""Defects of what networks are shown: photographs, patterns, canvases, crops and data sets."""

from defects.defect import Defect, within

DEFECTS = [
    *within(
        "stimuli/decoding.py",
        "stimuli/test_decoding.py",
        Defect("the nearest pixel", "Image.Resampling.BILINEAR", "Image.Resampling.NEAREST"),
        Defect(
            "big-endian 16-bit images are clipped",
            'image.mode.startswith("I;16")',
            'image.mode == "I;16"',
        ),
        Defect(
            "EXIF's rotation is ignored",
            "_as_rgb(ImageOps.exif_transpose(image))",
            "_as_rgb(image)",
        ),
        Defect("transparent is black", 'image.size, "white")', 'image.size, "black")'),
        Defect("turned clockwise", "symmetry % 4, axes=(1, 2))", "symmetry % 4, axes=(2, 1))"),
        Defect("the whole image for a box", "box=chosen)", "box=None)"),
        Defect("floats without a range", 'if image.mode in ("I", "F"):', 'if image.mode == "I":'),
        Defect(
            "never mirrored", "if symmetry >= SYMMETRIES // 2 else", "if symmetry > SYMMETRIES else"
        ),
    ),
    *within(
        "stimuli/photos.py",
        "stimuli/test_photos.py",
        Defect(
            "the key lacks the symmetry",
            'manifest.drop(columns="file")',
            'manifest.drop(columns=["file", "symmetry"])',
        ),
        Defect("the key has the folder", 'manifest.drop(columns="file").to_csv', "manifest.to_csv"),
        Defect(
            "a renamed copy in train and test",
            "test.sha256.isin(train.sha256)",
            "test.file.isin(train.file)",
        ),
        Defect("train images may be test images", "    if shared:\n", "    if not len(test):\n"),
        Defect("one view of each photograph", "paths[turn % len(paths)]", "paths[0]"),
        Defect(
            "no crop is turned",
            "symmetry = int(torch.randint(SYMMETRIES, (), generator=generator))",
            "symmetry = 0",
        ),
        Defect(
            "crops follow no seed",
            "torch.Generator().manual_seed(seed)",
            "torch.Generator().manual_seed(0)",
        ),
        Defect(
            "every crop as large as the photograph",
            "CROP_SIDE = (0.4, 1.0)",
            "CROP_SIDE = (1.0, 1.0)",
        ),
        Defect(
            "test crops of train photographs",
            "in EMBEDDED[split].items()",
            'in EMBEDDED["train"].items()',
        ),
        Defect(
            "hidden files are shown", 'not any(part.startswith(".") for', "not any(not part for"
        ),
        Defect("folders below are not searched", '.rglob("*")', '.glob("*")'),
        Defect("damaged images are passed over", "        _refuse(damaged)\n", ""),
        Defect(
            "one seed for places and sizes",
            "scale, across, down = torch.rand(3, generator=generator)",
            "scale, across, down = torch.rand(1, generator=generator).expand(3)",
        ),
    ),
    *within(
        "stimuli/upright.py",
        "stimuli/test_upright.py",
        Defect("crops are turned", ".assign(symmetry=0)", ""),
        Defect("as many crops of both splits together", "crops * len(photographs)", "crops"),
    ),
    *within(
        "stimuli/textures.py",
        "stimuli/test_textures.py",
        Defect("rows from the top alone", "torch.randint(height - side + 1,", "torch.randint(1,"),
        Defect(
            "patches reach into the next strip", "round(stop * width) - side", "round(stop * width)"
        ),
        Defect("test patches of the train strip", '"test": (0.7, 1.0)', '"test": (0.0, 0.3)'),
        Defect("labels in turn", "repeat_interleave(per_photograph)", "repeat(per_photograph)"),
    ),
    *within(
        "stimuli/labelled_images.py",
        "stimuli/test_labelled_images.py",
        Defect(
            "the test limit follows the seed",
            "config.test_limit, seed=0)",
            "config.test_limit, config.seed)",
        ),
        Defect(
            "test digits follow the seed",
            "(1 - DIGITS_TEST_SHARE)), seed=0)",
            "(1 - DIGITS_TEST_SHARE)), config.seed)",
        ),
        Defect(
            "train images follow no seed",
            "len(pixels) - held_out, config.seed)",
            "len(pixels) - held_out, 0)",
        ),
        Defect(
            "colours of validation images, too", "_colours(train[0])", "_colours(pools.train[0])"
        ),
        Defect("classes are not in their shares", "stratify=labels.numpy(), ", ""),
        Defect("digits in blocks", 'mode="bilinear", align_corners=False)', 'mode="nearest")'),
        Defect("digits too dark", "(255 / 16)", "(255 / 17)"),
        Defect(
            "train images are test images",
            "for train in (True, False):",
            "for train in (True, True):",
        ),
        Defect(
            "rows for columns",
            "torch.from_numpy(images.data).permute(0, 3, 1, 2)",
            "torch.from_numpy(images.data).permute(0, 3, 2, 1)",
        ),
        Defect(
            "validation images stay in training",
            "(pixels[kept], labels[kept]), (pixels[rest]",
            "(pixels, labels), (pixels[rest]",
        ),
        Defect("one class more", "pixels[labels < classes]", "pixels[labels <= classes]"),
        Defect(
            "the variance for the deviation",
            "mean.square()).sqrt().float()",
            "mean.square()).float()",
        ),
    ),
    *within(
        "stimuli/device_images.py",
        "stimuli/test_canvases.py stimuli/test_crops.py",
        Defect("the mean is not divided", "self._offset = (mean / std)", "self._offset = mean"),
        Defect("always in float32", "self._offset).to(self.dtype)", "self._offset)"),
        Defect(
            "colours one too low",
            "/ scale).round().clamp",
            "/ scale).clamp",
            tests="experiments/permutenet/test_evaluate.py -k colours",
        ),
    ),
    *within(
        "stimuli/canvases.py",
        "stimuli/test_canvases.py",
        Defect("flipped upside down", "tiles.flip(2)", "tiles.flip(1)"),
        Defect(
            "all flipped or none",
            "torch.where(flipped, tiles.flip(2), tiles)",
            "tiles.flip(2) if flipped.any() else tiles",
        ),
        Defect(
            "locations by column",
            "            locations // grid,\n",
            "            locations % grid,\n",
        ),
        Defect("tiles at the corner", "(size - height) // 2, (size - width) // 2", "0, 0"),
        Defect("the colour is not normalised", "((colour - mean) / std)", "colour"),
        Defect("released is black", '"released": torch.clone', '"released": torch.zeros_like'),
    ),
    *within(
        "stimuli/crops.py",
        "stimuli/test_crops.py",
        Defect(
            "flipped upside down",
            "columns = torch.where(mirrored.to(self.device)[:, None], columns.flip(1), columns)",
            "rows = torch.where(mirrored.to(self.device)[:, None], rows.flip(1), rows)",
        ),
        Defect(
            "the odd pixel before, not after",
            "max_shift // 2, max_shift - max_shift // 2",
            "max_shift - max_shift // 2, max_shift // 2",
        ),
        Defect(
            "rows and columns swapped",
            "rows = offsets[:, :1] + self._rows",
            "rows = offsets[:, 1:] + self._rows",
        ),
        Defect("crops enlarged by too little", "max_shift + 1 if max_shift else 0", "max_shift"),
        Defect(
            "unshifted images are enlarged", "max_shift + 1 if max_shift else 0", "max_shift + 1"
        ),
        Defect(
            "circular is zero",
            '"circular": _padded_by("circular")',
            '"circular": _padded_by("constant")',
        ),
        Defect("labels of the train images", 'images[f"{split}.labels"]', 'images["train.labels"]'),
    ),
    *within(
        "stimuli/patterns.py",
        "stimuli/test_patterns.py",
        Defect(
            "controls at full resolution",
            "torch.randn(1, 1, cells, cells,",
            "torch.randn(1, 1, *size,",
        ),
        Defect("one control for all draws", "CONTROL_SEED + draw", "CONTROL_SEED"),
        Defect(
            "signed patterns that have no stripes",
            "if name in STRIPED else values",
            "if name else values",
        ),
        Defect("half the width of the Gaussian", "GAUSSIAN_SIGMA = 0.5", "GAUSSIAN_SIGMA = 0.25"),
        Defect(
            "stripes at the edges of pixels",
            "(torch.arange(side) + 0.5) / side",
            "torch.arange(side) / side",
        ),
        Defect("three periods", "STRIPE_PERIODS = 2.5", "STRIPE_PERIODS = 3"),
        Defect(
            "horizontal and vertical swapped",
            '"horizontal": horizontal,',
            '"horizontal": vertical,',
        ),
        Defect(
            "patterns that reach beyond [0, 1]",
            "return _min_max(y[:, None] * x)",
            "return y[:, None] * x",
        ),
    ),
    *within(
        "stimuli/synthetic.py",
        "stimuli/test_synthetic.py",
        Defect(
            "noise with independent channels",
            "return _noise(size, NOISE_CORRELATION)",
            "return _noise(size, 0.0)",
        ),
        Defect("values beyond 255 wrap around", ".round().clamp(0, 255)", ".round()"),
        Defect(
            "another noise each time",
            "torch.Generator().manual_seed(NOISE_SEED)",
            "torch.default_generator",
        ),
        Defect("white is grey", "(1, 3, *size), 255", "(1, 3, *size), 128"),
    ),
]
