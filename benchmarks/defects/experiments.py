"""Defects of the experiments: which results a cell reads, what its key has, what is reported."""

from defects.defect import Defect, within

SETTINGS = "experiments/posenet/test_settings.py"

DEFECTS = [
    *within(
        "experiments/posenet/settings.py",
        SETTINGS,
        Defect(
            "readouts learn from test photographs",
            'f"features/{settings.features_of(cell)}.train"',
            'f"features/{settings.features_of(cell)}.test"',
        ),
        Defect(
            "readouts are tested on train photographs",
            '"photos": f"{features}.{photographs}"',
            '"photos": f"{features}.train"',
        ),
        Defect(
            "scores have the names of train photographs",
            '"images": f"images/{photographs}"',
            '"images": "images/train"',
        ),
        Defect(
            "test photographs whatever the split",
            '"test" if settings.held_out is None else "train"',
            '"test"',
        ),
        Defect(
            "photographs are held out whatever the split",
            'return self.posenet.held_out if self.posenet.split == "validation" else None',
            "return self.posenet.held_out",
        ),
        Defect(
            "readouts are not told what is held out",
            "            held_out=settings.held_out,\n",
            "            held_out=None,\n",
        ),
        Defect(
            "the batch may be as large as all train images",
            "return int((~hold_out(photographs, self.held_out)).sum())",
            "return len(hold_out(photographs, self.held_out))",
        ),
        Defect(
            "the code of one's own network is no part of the key",
            "                modules=user_modules(backbone.arch),\n",
            "",
        ),
        Defect(
            "seeds of untrained weights are ignored",
            "if cell.backbone_seed is None else cell.backbone_seed\n        return",
            "if True else 0\n        return",
        ),
        Defect(
            "other normalisations read the same features",
            'return cell.backbone + seed + ("" if plain else f"-norm-{cell.normalisation}")',
            "return cell.backbone + seed",
        ),
        Defect(
            "weights by their names",
            "weights = weights_key(backbone.arch, backbone.weights, "
            'f"backbones.{cell.backbone}.weights")',
            "weights = backbone.weights",
        ),
        Defect(
            "patterns of one seed",
            "for pattern in cell.patterns for seed in cell.seeds",
            "for pattern in cell.patterns for seed in cell.seeds[:1]",
        ),
        Defect(
            "blocks are all read", "            blocks=cell.blocks,\n", "            blocks=(),\n"
        ),
        Defect(
            "photographs without their content",
            "content=content, manifest=manifest",
            'content="", manifest=manifest',
            tests="experiments/posenet/test_settings.py -k photographs",
        ),
        Defect(
            "tables are no groups",
            "lambda cell: () if section is self.posenet else cell.tables",
            "lambda cell: ()",
        ),
        Defect("seeds of trained weights", 'if weights != "untrained":', "if not weights:"),
    ),
    *within(
        "experiments/posenet/features.py",
        SETTINGS,
        Defect(
            "the key lacks the normalisation",
            "    normalisation: str\n",
            '    normalisation: str = __import__("pydantic").Field(exclude=True)\n',
        ),
        Defect(
            "the key lacks the weights' content",
            "    weights: str\n",
            '    weights: str = __import__("pydantic").Field(exclude=True)\n',
        ),
        Defect(
            "the key lacks the size of features",
            "    feature_size: int\n",
            '    feature_size: int = __import__("pydantic").Field(exclude=True)\n',
        ),
        Defect(
            "what was padded is not kept",
            'getattr(backbone.blocks, "padded_calls", [])',
            "[]",
            tests="experiments/posenet/test_features.py",
        ),
    ),
    *within(
        "experiments/posenet/readouts.py",
        "experiments/posenet/test_readouts.py experiments/posenet/test_settings.py",
        Defect(
            "the key lacks the fit",
            "    fit: dict[str, Any]\n",
            "    fit: dict[str, Any] = Field(exclude=True)\n",
            tests=SETTINGS,
        ),
        Defect(
            "the key lacks the stripes",
            "    stripes: str\n",
            "    stripes: str = Field(exclude=True)\n",
            tests=SETTINGS,
        ),
        Defect(
            "the key lacks the blocks",
            "    blocks: tuple[str, ...]\n",
            "    blocks: tuple[str, ...] = Field(exclude=True)\n",
            tests=SETTINGS,
        ),
        Defect(
            "the key lacks the share that is held out",
            "    held_out: float | None\n",
            "    held_out: float | None = Field(exclude=True)\n",
            tests=SETTINGS,
        ),
        Defect(
            "held-out photographs are trained on",
            'open_blocks(inputs["features"], cell, fitted)',
            'open_blocks(inputs["features"], cell)',
            tests="experiments/posenet/test_readouts.py",
        ),
        Defect(
            "crops are held out, not photographs",
            "hold_out(photographs, cell.held_out)",
            "hold_out([str(i) for i in range(len(photographs))], cell.held_out)",
            tests="experiments/posenet/test_readouts.py experiments/posenet/test_evaluate.py",
        ),
        Defect(
            "one control for all seeds",
            "make_pattern(name, size, cell.stripes, seed)",
            "make_pattern(name, size, cell.stripes)",
            tests="experiments/posenet/test_readouts.py",
        ),
        Defect(
            "stripes are always on [0, 1]",
            "make_pattern(name, size, cell.stripes, seed)",
            'make_pattern(name, size, "unit", seed)',
            tests="experiments/posenet/test_readouts.py",
        ),
        Defect(
            "patterns share their initial weights",
            "[initial_seed(*head) for head in cell.heads]",
            "[seed for _, seed in cell.heads]",
            tests="experiments/posenet/test_readouts.py",
        ),
        Defect(
            "curves of other heads",
            "zip(names, history.T.tolist(), strict=True)",
            "zip(names, history.T.flip(0).tolist(), strict=True)",
            tests="experiments/posenet/test_readouts.py",
        ),
    ),
    *within(
        "experiments/posenet/evaluate.py",
        "experiments/posenet/test_evaluate.py",
        Defect(
            "readouts in training mode",
            "readouts.eval().to(work.device)",
            "readouts.to(work.device)",
        ),
        Defect("stuck at the first loss", "curve[-1] for curve", "curve[0] for curve"),
        Defect("half_mse is stuck sooner", "losses / cell.readout.loss_scale", "losses"),
        Defect(
            "figures of the last seed",
            "if seed == cell.heads[0][1]",
            "if seed == cell.heads[-1][1]",
        ),
        Defect(
            "features of photographs for all stimuli",
            'open_blocks(inputs["synthetic"], cell)]',
            'open_blocks(inputs["photos"], cell)]',
        ),
        Defect("measured on what was trained on", "cell, held_out=True)", "cell, held_out=False)"),
        Defect(
            "names of photographs that are not measured",
            'photographs_of(inputs["images"], measured)]',
            'inputs["images"].table.photograph[: len(measured)]]',
        ),
        Defect("the picture is of another photograph", '["pixels"][measured[0]]', '["pixels"][0]'),
        Defect(
            "solved readouts may be stuck",
            'if cell.readout.head == "ridge":\n        return dict',
            'if cell.readout.head == "none":\n        return dict',
        ),
        Defect(
            "weights as drawn",
            '    readouts.load_state_dict(dict(inputs["readouts"].tensors))\n',
            "",
        ),
    ),
    *within(
        "experiments/posenet/report.py",
        "experiments/posenet/test_report.py",
        Defect(
            "scores once for all tables",
            '    ).explode("table")',
            "    ).assign(table=lambda f: f.table.str[0])",
        ),
        Defect(
            "seeds of untrained weights are cells",
            '    scores["cell"] = [_without_seed(label, settings) for label in scores.cell]\n',
            "",
        ),
        Defect(
            "figures of the last seed",
            "first.setdefault(_without_seed(label, settings), label)",
            "first[_without_seed(label, settings)] = label",
        ),
        Defect(
            "signed and unit stripes swapped",
            'settings.posenet.stripes == "signed"',
            'settings.posenet.stripes != "signed"',
        ),
        Defect(
            "every split is called test", '"split": settings.posenet.split,', '"split": "test",'
        ),
        Defect(
            "the contact sheet is the wrong way round",
            '{"train": ~measured, "validation": measured}',
            '{"train": measured, "validation": ~measured}',
        ),
        Defect("error of the first pattern", "{label: maps.mean(0) for", "{label: maps[0] for"),
        Defect(
            "weights of all backbones are the first's",
            "backbone = cell.readout, settings.backbone_of(cell)\n    return",
            "backbone = cell.readout, next(iter(settings.backbones.values()))\n    return",
        ),
    ),
    *within(
        "experiments/permutenet/settings.py",
        "experiments/permutenet/test_settings.py",
        Defect("all networks of one seed", "            seed=seed,\n", "            seed=0,\n"),
        Defect(
            "the code of one's own network is no part of the key",
            "            modules=user_modules(cell.arch),\n",
            "",
        ),
        Defect(
            "evaluated networks of other seeds",
            'cell.needing(network=f"train/{label}")',
            'cell.needing(network=f"train/{next(iter(cells))[0]}")',
        ),
        Defect(
            "test images whatever the split",
            "EvaluateCell(**dict(cell), split=split)",
            'EvaluateCell(**dict(cell), split="test")',
        ),
        Defect(
            "tasks are no groups",
            "groups=lambda cell: (cell.network, cell.task)",
            "groups=lambda cell: (cell.network,)",
        ),
    ),
    *within(
        "experiments/permutenet/evaluate.py",
        "experiments/permutenet/test_evaluate.py",
        Defect(
            "validation images are tested",
            "images.tensors, cell.split,",
            'images.tensors, "validation",',
        ),
        Defect(
            "test images for validation images",
            "images.tensors, cell.split,",
            'images.tensors, "test",',
        ),
        Defect(
            "the key lacks the split",
            "    split: MeasuredSplit\n",
            '    split: MeasuredSplit = __import__("pydantic").Field(exclude=True)\n',
            tests="experiments/permutenet/test_settings.py",
        ),
        Defect(
            "untrained networks are tested", '    load_trained(network, inputs["network"])\n', ""
        ),
        Defect(
            "chance among images for all tasks",
            '"floor": 1 / measured.answers',
            '"floor": 1 / measured.classes',
        ),
    ),
    *within(
        "experiments/permutenet/report.py",
        "experiments/permutenet/test_report.py",
        Defect(
            "seeds in the order of their files",
            "dict.fromkeys(columns, section.seeds)",
            "dict.fromkeys(columns, sorted(section.seeds))",
        ),
        Defect("every split is called test", '"split": section.split}', '"split": "test"}'),
        Defect(
            "answers of the first seed",
            'torch.stack([r.tensors["counts"] for r in rs]).sum(0)',
            'rs[0].tensors["counts"]',
        ),
    ),
    *within(
        "experiments/augshift/settings.py",
        "experiments/augshift/test_settings.py",
        Defect(
            "settings that a method does not use are in its key",
            "return self.model_copy(update=unused)",
            "return self",
        ),
        Defect(
            "all methods on one data set",
            '"name": cell.dataset})',
            '"name": self.augshift.dataset.name})',
        ),
        Defect("networks of one seed", "                seed=seed,\n", "                seed=0,\n"),
        Defect(
            "the split is not asked for",
            '("split", "shifts", "draws")}\n',
            '("split", "shifts", "draws")} | {"split": "test"}\n',
        ),
    ),
    *within(
        "experiments/augshift/evaluate.py",
        "experiments/augshift/test_evaluate.py",
        Defect(
            "test images for validation images",
            "Crops.of(images, cell.split, shift, work)",
            'Crops.of(images, "test", shift, work)',
        ),
        Defect(
            "top-1 of test images",
            "Crops.of(images, cell.split, UNSHIFTED, work)",
            'Crops.of(images, "test", UNSHIFTED, work)',
        ),
        Defect(
            "untrained networks are tested", '    load_trained(network, inputs["network"])\n', ""
        ),
        Defect(
            "top-1 against labels of other images",
            "top1 = (unshifted.flatten() == labels)",
            "top1 = (unshifted.flatten() == labels.flip(0))",
        ),
        Defect("labels of test images", 'images[f"{cell.split}.labels"]', 'images["test.labels"]'),
    ),
    *within(
        "experiments/augshift/report.py",
        "experiments/augshift/test_report.py",
        Defect("agreement of the first seed", "agreement.mean(0).numpy()", "agreement[0].numpy()"),
        Defect(
            "ranges by their order",
            "shifts[name].max_shift for name in scores.range",
            "settings.augshift.shifts[0].max_shift for name in scores.range",
        ),
    ),
    *within(
        "experiments/consistency/classify.py",
        "experiments/consistency/test_classify.py",
        Defect(
            "crops of all photographs",
            "own = answers[torch.from_numpy(photographs == name)]",
            "own = answers",
        ),
        Defect(
            "unanimous at the first row",
            "(own == own[:, :1, :1]).flatten(1)",
            "(own[:, :1] == own[:, :1, :1]).flatten(1)",
        ),
        Defect("classes of the first crop", "len(own.unique())", "len(own[0].unique())"),
    ),
    *within(
        "experiments/consistency/settings.py",
        "experiments/consistency/test_settings.py",
        Defect(
            "photographs as large as a window",
            "section.image_size + section.max_shift",
            "section.image_size",
        ),
        Defect(
            "the last offset is left out",
            "range(0, self.max_shift + 1, self.step)",
            "range(0, self.max_shift, self.step)",
        ),
        Defect(
            "the code of one's own network is no part of the key",
            "            modules=user_modules(classifier.arch),\n",
            "",
        ),
    ),
    *within(
        "experiments/consistency/report.py",
        "experiments/consistency/test_report.py",
        Defect(
            "the first minus the others",
            "(label, labels[0]) for label",
            "(labels[0], label) for label",
        ),
        Defect("crops of one photograph", '"crops": rows.n.sum()', '"crops": rows.n.max()'),
    ),
    *within(
        "experiments/images.py",
        "experiments/test_images.py",
        Defect(
            "the key lacks the content",
            '    content: str = ""\n',
            '    content: str = Field(default="", exclude=True)\n',
        ),
        Defect("the key has the folder", 'cell.manifest.drop(columns="file"))', "cell.manifest)"),
        Defect(
            "one stimulus for all",
            "for name in cell.stimuli])",
            "for name in cell.stimuli[:1] * len(cell.stimuli)])",
        ),
    ),
    *within(
        "experiments/trained_network.py",
        "experiments/test_trained_network.py",
        Defect(
            "colours swapped",
            "with_colours(network.state_dict(), mean, std)",
            "with_colours(network.state_dict(), std, mean)",
        ),
        Defect(
            "seeds in the order of their results",
            "for seed in of_cell]",
            "for seed in sorted(of_cell, reverse=True)]",
        ),
        Defect(
            "losses for accuracies",
            "np.array(s.history[score])) for s",
            "np.array(s.history[LOSS])) for s",
        ),
    ),
]
