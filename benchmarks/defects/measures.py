"""Defects of what is measured: SPC, MAE, consistency, comparisons, tables and figures."""

from defects.defect import Defect, within

DEFECTS = [
    *within(
        "measures/metrics.py",
        "measures/test_metrics.py",
        Defect(
            "ties by their order",
            "starts + (counts - len(values)) / 2, counts)",
            "starts - len(values) / 2, counts)",
        ),
        Defect(
            "only equal values are constant",
            "np.ptp(values) <= CONSTANT_RANGE",
            "np.ptp(values) == 0",
        ),
        Defect("a constant's SPC is 1", "            return np.nan", "            return 1.0"),
        Defect("the floor of the mean", "exact.quantile(0.5)", "exact.mean()"),
        Defect(
            "MAE without the absolute value",
            "np.abs(values - reference).mean",
            "(values - reference).mean",
        ),
        Defect(
            "squared errors",
            "np.abs(values - reference).mean",
            "np.square(values - reference).mean",
        ),
        Defect(
            "infinite maps are ranked",
            "if wrong := int((~maps.isfinite()).any(1).sum()):",
            "if wrong := int(maps.isnan().all(1).sum()):",
        ),
        Defect(
            "Pearson's correlation",
            "ranks = _centred_ranks(values)\n        return",
            "ranks = values - values.mean()\n        return",
        ),
        Defect("ranks of the target are not scaled", "    reference /= _norm(reference)\n", ""),
    ),
    *within(
        "measures/scores.py",
        "measures/test_scores.py",
        Defect("constant maps are left out", "spc.fillna(0).mean()", "spc.mean()"),
        Defect("constant maps are not counted", "int(spc.isna().sum())", "0"),
        Defect(
            "skill upside down", "1 - scores.mae / scores.floor", "1 - scores.floor / scores.mae"
        ),
        Defect("stuck at half of the variance", "STUCK = 0.95", "STUCK = 0.5"),
        Defect(
            "heads meet the masks of others",
            "zip(torch.stack(batch, dim=1), masks, strict=True)",
            "zip(torch.stack(batch, dim=1), masks.flip(0), strict=True)",
        ),
        Defect(
            "rows of images in another order",
            "for name in names for head in heads]",
            "for head in heads for name in names]",
        ),
        Defect(
            "SPC and MAE swapped",
            "[spearman(full, mask), mean_absolute_error(full, mask)]",
            "[mean_absolute_error(full, mask), spearman(full, mask)]",
        ),
        Defect(
            "errors of images without content, too",
            "if number < photographs else ()",
            "if number >= 0 else ()",
            tests="experiments/posenet/test_evaluate.py -k maps_and_errors",
        ),
        Defect(
            "the map of the last photograph",
            'kept.setdefault(f"map.{pattern}", full)',
            'kept[f"map.{pattern}"] = full',
            tests="experiments/posenet/test_evaluate.py -k maps_and_errors",
        ),
        Defect(
            "the last images are not scored",
            "while batch := list(islice(left, BATCH_SIZE)):",
            "while len(batch := list(islice(left, BATCH_SIZE))) == BATCH_SIZE or not scores:",
        ),
    ),
    *within(
        "measures/intervals.py",
        "measures/test_intervals.py",
        Defect("the deviation for the standard error", "* sem(values))", "* np.std(values))"),
        Defect("normal quantiles", "len(values) - 1)", "10**9)"),
        Defect("one-sided", "(1 + confidence) / 2", "confidence"),
        Defect("an interval of one value", "if len(values) < 2:", "if len(values) < 1:"),
    ),
    *within(
        "measures/paired_comparisons.py",
        "measures/test_paired_comparisons.py",
        Defect(
            "unpaired",
            "by_unit[cell] - by_unit[against]).dropna()",
            "by_unit[cell] - by_unit[against].mean()).dropna()",
        ),
        Defect(
            "paired by their place",
            "rows.pivot(index=over,",
            'rows.assign(**{over: rows.groupby("cell").cumcount()}).pivot(index=over,',
        ),
        Defect(
            "the earlier minus the later",
            "by_unit[cell] - by_unit[against]).dropna()",
            "by_unit[against] - by_unit[cell]).dropna()",
        ),
        Defect("only what is larger is separable", "bool(low > 0 or high < 0)", "bool(low > 0)"),
        Defect("two equal differences are a lead", "and signs < 1 - CONFIDENCE", "and signs < 1"),
        Defect("equal differences are never a lead", "signs < 1 - CONFIDENCE", "signs < 0"),
        Defect("only differences equal to the last bit are equal", "> ROUNDING * scale:", "> 0:"),
        Defect(
            "units of one cell count as 0",
            "by_unit[against]).dropna()",
            "by_unit[against]).fillna(0)",
        ),
        Defect("an interval of one unit", "if len(differences) < 2:", "if len(differences) < 1:"),
        Defect(
            "places are mixed",
            "scores.groupby(list(within), sort=False) if within else",
            "[((), scores)] if within else",
        ),
        Defect(
            "what is separable is not shown",
            'if row["separable"] else text',
            'if not row["separable"] else text',
        ),
    ),
    *within(
        "measures/published.py",
        "measures/test_published.py",
        Defect(
            "several numbers for one cell", 'how="left", validate="many_to_one")', 'how="left")'
        ),
        Defect(
            "cells without a number are dropped", 'how="left", validate', 'how="inner", validate'
        ),
        Defect(
            "cells that stand alone do not", "joined[name].mask(alone.to_numpy())", "joined[name]"
        ),
        Defect(
            "numbers of other papers",
            "of_paper & published.table.isin(tables)",
            "published.table.isin(tables)",
        ),
        Defect(
            "the last of several numbers", 'if line["metric"] in row:', 'if line["metric"] in ():'
        ),
        Defect(
            "notes are lost",
            'row["note"] = "; ".join(note for note in notes if note)',
            'row["note"] = ""',
        ),
        Defect(
            "sources are mixed",
            '(line["table"], frozenset(place.items()), line["source"])',
            '(line["table"], frozenset(place.items()))',
        ),
    ),
    *within(
        "measures/islam2020.py",
        "measures/test_islam2020.py",
        Defect(
            "stripes on the published scale",
            "theirs.mae * (1 if signed else theirs.mae_scale)",
            "theirs.mae",
        ),
        Defect(
            "signed stripes are halved, too",
            "(1 if signed else theirs.mae_scale)",
            "theirs.mae_scale",
        ),
        Defect(
            "any padding has the number of zeros",
            '"arch", "padding", "blocks",',
            '"arch", "blocks",',
        ),
        Defect(
            "any kernel has the number of 3",
            '"blocks", "kernel_size", "layers", "readout_padding", "pattern"',
            '"blocks", "layers", "readout_padding", "pattern"',
        ),
        Defect(
            "untrained networks beside trained ones", '["untrained", "as-built"]', '["as-built"]'
        ),
        Defect("ridge beside the paper's readout", '        | (table["head"] == "ridge")\n', ""),
        Defect(
            "published numbers beside validation images",
            '        | table.split.ne("test"),\n',
            "        | False,\n",
        ),
        Defect(
            "other weights are not named",
            'if row["weights"] not in ("imagenet", "none"):',
            "if False:",
        ),
        Defect(
            "the last table for the first",
            ".drop_duplicates(keys)",
            '.drop_duplicates(keys, keep="last")',
        ),
    ),
    *within(
        "measures/table1.py",
        "measures/test_table1.py",
        Defect(
            "the interval is over crops",
            '.groupby([*KEYS, "photograph"], sort=False).spc.mean()',
            '.set_index([*KEYS, "photograph"]).spc',
        ),
        Defect("constant maps are left out", 'images.fillna({"spc": 0}).groupby', "images.groupby"),
        Defect(
            "selectivity of photographs for all",
            '.set_index(["backbone", "stimulus"]).spc\n',
            '.set_index(["backbone", "stimulus"]).spc.groupby("backbone").transform("first")\n',
        ),
        Defect(
            "controls minus patterns",
            "table.spc - [control.get(cell, np.nan) for cell in cells]",
            "[control.get(cell, np.nan) for cell in cells] - table.spc",
        ),
        Defect(
            "compared with the last backbone",
            "leading.setdefault(arch, label)",
            "leading.update({arch: label}) or label",
        ),
        Defect("comparisons on any stimulus", "images.query(\"stimulus == 'photos'\")", "images"),
    ),
    *within(
        "measures/reporting.py",
        "measures/test_reporting.py",
        Defect(
            "the standard error for the deviation", 'spc_sd=("spc", "std")', 'spc_sd=("spc", "sem")'
        ),
        Defect(
            "no word of validation images",
            'set(table.split) - {"test"}',
            "set(table.split) - set(table.split)",
        ),
        Defect("the best of the seeds", 'spc=("spc", "mean")', 'spc=("spc", "max")'),
        Defect(
            "stuck readouts are not counted", 'n_stuck=("stuck", "sum")', 'n_stuck=("stuck", "min")'
        ),
    ),
    *within(
        "measures/ablation_tables.py",
        "measures/test_ablation_tables.py",
        Defect(
            "cells of one setting are mixed",
            '["table", "cell", *SETTINGS, "pattern", "stimulus"]',
            '["table", *SETTINGS, "pattern", "stimulus"]',
        ),
        Defect("patterns that some cells lack", "if count == max(counts.values())]", "if count]"),
    ),
    *within(
        "measures/permutenet_table.py",
        "measures/test_permutenet_table.py",
        Defect(
            "survival of chance, too",
            "(table.accuracy - table.floor).rename",
            "table.accuracy.rename",
        ),
        Defect(
            "any grid has the number of 3",
            '"padding", "task", "grid"]\nHEADS',
            '"padding", "task"]\nHEADS',
        ),
        Defect(
            "any padding has the number of zeros",
            '"permutation", "padding", "task"',
            '"permutation", "task"',
        ),
        Defect(
            "survival against any GAPNet",
            "same = [name for name in settings if name not in HEADS]",
            'same = ["task"]',
        ),
        Defect("canvases of one seed", 'n=("n", "sum")', 'n=("n", "first")'),
        Defect(
            "published numbers beside validation images", ' | table.split.ne("test")', " | False"
        ),
        Defect("other networks beside the paper's", '| table.arch.ne("canvas_resnet18")', ""),
        Defect(
            "differences are not named",
            "if pd.isna(row[name]) or row[name] != theirs",
            "if pd.isna(row[name])",
        ),
    ),
    *within(
        "measures/augshift_table.py",
        "measures/test_augshift_table.py",
        Defect(
            "consistency for accuracy",
            '"accuracy": "published_top1", "consistency": "published_consistency"',
            '"consistency": "published_top1", "accuracy": "published_consistency"',
        ),
        Defect(
            "ranges are mixed",
            'RANGE = ["dataset", "max_shift", "shift_padding"]',
            'RANGE = ["dataset", "max_shift"]',
        ),
        Defect(
            "published numbers beside validation images",
            '        alone=table.split.ne("test"),\n',
            "",
        ),
        Defect(
            "the deviation of nothing",
            'f"{name}_sd": (name, "std")',
            'f"{name}_sd": (name, "mean")',
        ),
    ),
    *within(
        "measures/consistency.py",
        "measures/test_consistency.py",
        Defect("the share of the most frequent class", ".square().sum(1)", ".amax(1)"),
        Defect(
            "the middle of an even number",
            "(predictions.shape[1] - 1) // 2",
            "predictions.shape[1] // 2",
        ),
        Defect("right at some offset", ".all(1).double().mean()", ".any(1).double().mean()"),
        Defect(
            "accuracy over all offsets",
            "predictions.diagonal(dim1=1, dim2=2)",
            "predictions.flatten(1)",
        ),
        Defect(
            "consistency of wrong images",
            "exact_consistency(predictions[right])",
            "exact_consistency(predictions[~right])",
        ),
        Defect(
            "pairs of equal offsets",
            "first, second = (flat.gather(1, offsets) for offsets in pairs)",
            "first, second = (flat.gather(1, pairs[0]) for _ in pairs)",
        ),
        Defect(
            "agreement with the label",
            "(predictions == _in_the_middle(predictions)[:, None, None])",
            "(predictions == predictions[:, :1, :1])",
        ),
    ),
    *within(
        "measures/canvas_scores.py",
        "measures/test_canvas_scores.py",
        Defect("columns for rows", ".reshape(side, side)", ".reshape(side, side).T"),
        Defect("shares of the answers", "pairs.sum(1, keepdim=True)", "pairs.sum(0, keepdim=True)"),
        Defect(
            "the mean over targets",
            "counts.diagonal(dim1=1, dim2=2).sum().item() / counts.sum().item()",
            "(counts.diagonal(dim1=1, dim2=2).sum(0) / counts.sum((0, 2))).mean().item()",
        ),
    ),
    *within(
        "measures/figures.py",
        "measures/test_figures.py",
        Defect("each map on a scale of its own", "vmin=low, vmax=high, ", ""),
        Defect(
            "backbones in another order",
            "zip(axes[:, 1:], rows.items(), strict=True)",
            "zip(axes[:, 1:], reversed(rows.items()), strict=True)",
        ),
    ),
    *within(
        "measures/canvas_figures.py",
        "measures/test_canvas_figures.py",
        Defect("confusions transposed", "axis.imshow(shares, vmin", "axis.imshow(shares.T, vmin"),
        Defect("epochs from 0", "np.arange(1, len(values) + 1)", "np.arange(len(values))"),
        Defect("panels without numbers", "if len(values) <= WRITTEN:", "if len(values) > WRITTEN:"),
    ),
    *within(
        "measures/ablation_figures.py",
        "measures/test_ablation_figures.py",
        Defect("errors on scales of their own", "vmax=highest, ", "vmax=float(error.max()), "),
        Defect("MAE and SPC swapped", 'f"{spc:.3f}, {mae:.3f}"', 'f"{mae:.3f}, {spc:.3f}"'),
    ),
    *within(
        "measures/trade_off_figure.py",
        "measures/test_trade_off_figure.py",
        Defect(
            "axes swapped",
            "rows.top1, rows.consistency_exact, color",
            "rows.consistency_exact, rows.top1, color",
        ),
    ),
]
