"""GAPNet against PermuteNet: the result table, the paper's beside ours, and four figures."""

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from posinfo.experiment import Report, Result, Results
from posinfo.experiments.permutenet.settings import PermutenetSettings
from posinfo.experiments.trained_network import by_seed, learning_curves
from posinfo.measures import canvas_figures as figures
from posinfo.measures.canvas_scores import accuracy_by_location, answers_by_target
from posinfo.measures.figures import images_figure
from posinfo.measures.permutenet_table import permutenet_markdown, permutenet_table

FIRST = [  # columns of scores.csv, before all other settings
    "dataset", "network", "permutation", "padding", "canvas", "task", "grid", "seed", "accuracy",
    "floor", "split", "n", "cell",
]  # fmt: skip
WHOLE = ("seed", "n", "width", "permuted_before", "classes")  # numbers, some of which may lack


def report(settings: PermutenetSettings, results: Results, published: pd.DataFrame) -> Report:
    """Scores, table, canvases, learning curves, accuracy by location, and confusions."""
    section, columns = settings.permutenet, {n: c.columns() for n, c in settings.cells.items()}
    cells = by_seed(results["evaluate"], dict.fromkeys(columns, section.seeds))
    dataset = section.dataset
    images = {"dataset": dataset.name, "classes": dataset.class_count, "split": section.split}
    rows = [
        {**images, **columns[label], **result.table.iloc[0].to_dict(), "cell": label}
        for label, seeds in cells.items()
        for result in seeds
    ]
    others = [name for name in rows[0] if name not in FIRST]
    scores = pd.DataFrame(rows, columns=[*FIRST, *others]).astype(dict.fromkeys(WHOLE, "Int64"))
    table = permutenet_table(scores, published)
    counts = {n: torch.stack([r.tensors["counts"] for r in rs]).sum(0) for n, rs in cells.items()}
    shown: dict[str, np.ndarray] = {}
    for label, (first, *_) in cells.items():
        canvas = "{canvas} {grid}x{grid}".format(**columns[label])
        shown.setdefault(canvas, first.tensors["shown"].numpy())
    by_location = {label: accuracy_by_location(of_cell) for label, of_cell in counts.items()}
    by_target = {label: answers_by_target(of_cell) for label, of_cell in counts.items()}
    return Report(
        tables={"scores": scores, "table": table},
        texts={"table": permutenet_markdown(table)},
        figures={
            "canvases": images_figure(shown),
            "learning_curves": figures.learning_curves_figure(learning_curves(cells)),
            "accuracy_maps": figures.accuracy_maps_figure(by_location),
            "confusions": figures.confusions_figure(by_target),
        },
    )


def map_of(result: Result) -> Figure:
    """Accuracy at each location of one network's canvas."""
    by_location = accuracy_by_location(result.tensors["counts"])
    return figures.accuracy_maps_figure({"accuracy": by_location})
