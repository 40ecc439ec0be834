"""AugShift against its baselines: scores, the paper's beside ours, comparisons, three figures."""

import pandas as pd
import torch
from matplotlib.figure import Figure

from posinfo.experiment import Report, Result, Results
from posinfo.experiments.augshift.settings import AugShiftSettings
from posinfo.experiments.trained_network import BySeed, by_seed, learning_curves
from posinfo.measures.augshift_table import (
    COMPARED,
    RANGE,
    TRAINING,
    augshift_markdown,
    augshift_table,
)
from posinfo.measures.canvas_figures import agreement_figure, learning_curves_figure
from posinfo.measures.paired_comparisons import comparisons_markdown, paired_comparisons
from posinfo.measures.trade_off_figure import trade_off_figure

COLUMNS = [  # of scores.csv
    "dataset", "method", "seed", "top1", "consistency_sampled", "consistency_exact",
    "consistency_right", "diagonal_accuracy", "worst_case_accuracy", "max_shift", "shift_padding",
    "split", "n", "n_right", "floor", "width", "latent_weight", "loss", *TRAINING, "cell",
]  # fmt: skip


def report(settings: AugShiftSettings, results: Results, published: pd.DataFrame) -> Report:
    """Scores, table, comparisons, learning curves, accuracy against consistency, agreement."""
    cells = by_seed(results["evaluate"], {n: cell.seeds for n, cell in settings.cells.items()})
    shifts = {shift.name: shift for shift in settings.augshift.shifts}
    frames = []
    for label, seeds in cells.items():
        cell = settings.cells[label]
        of_cell = cell.model_dump(exclude={"seeds", "training"})
        of_cell |= cell.training.model_dump(include=set(TRAINING))
        frames += [result.table.assign(**of_cell, cell=label) for result in seeds]
    scores = pd.concat(frames, ignore_index=True)
    scores["max_shift"] = [shifts[name].max_shift for name in scores.range]
    scores["shift_padding"] = [shifts[name].padding for name in scores.range]
    scores["split"] = settings.augshift.split
    scores = scores.reindex(columns=COLUMNS)
    table = augshift_table(scores, published)
    comparisons = paired_comparisons(scores, RANGE, list(COMPARED))
    return Report(
        tables={"scores": scores, "table": table, "comparisons": comparisons},
        texts={
            "table": augshift_markdown(table),
            "comparisons": comparisons_markdown(comparisons, RANGE, COMPARED),
        },
        figures={
            "learning_curves": learning_curves_figure(learning_curves(cells)),
            "trade_off": trade_off_figure(scores),
            "agreement": _agreement_figure(cells),
        },
    )


def map_of(result: Result) -> Figure:
    """Agreement by offset of one network, a panel per range."""
    return _agreement_figure({"": [result]})


def _agreement_figure(cells: BySeed) -> Figure:
    """Mean over seeds, a panel per cell and range."""
    maps = {}
    for label, seeds in cells.items():
        for shift in seeds[0].table.range:
            agreement = torch.stack([seed.tensors[f"agreement.{shift}"] for seed in seeds])
            maps[f"{label}\n{shift}"] = agreement.mean(0).numpy()
    return agreement_figure(maps, ranges=len(maps) // len(cells))
