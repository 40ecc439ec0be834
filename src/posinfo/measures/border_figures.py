"""Figures of the boundary study."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from posinfo.measures.figures import PIXELS_PER_INCH, spoken


def border_curves_figure(scores: pd.DataFrame, knees: pd.DataFrame) -> Figure:
    """Accuracy by the width of the border: a panel per network, a line per seed.

    Args:
        scores: ``row, seed, border, accuracy``.
        knees: see ``posinfo.measures.border_tables.knees``; its three distances are drawn.
    """
    names = list(scores.row.unique())
    figure, axes = _panels(len(names), columns=3)
    for axis, name in zip(axes, names, strict=False):
        for _, rows in scores[scores.row == name].groupby("seed"):
            curve = pd.DataFrame(rows).sort_values(by="border")
            axis.plot(curve.border, curve.accuracy, "o-", color="C0", markersize=3, linewidth=1)
        of_row = knees[knees.row == name]
        for column, colour, style in (
            ("knee", "C0", "-"), ("field", "C3", "--"), ("error_reach", "C2", ":"),
        ):  # fmt: skip
            found = of_row.loc[np.isfinite(of_row[column]), column].unique()
            for index, value in enumerate(found):  # a line per seed
                label = spoken(column) if index == 0 else None
                axis.axvline(float(value), color=colour, linestyle=style, label=label, linewidth=1)
        axis.axhline(0.5, color="grey", linewidth=0.8)
        axis.set(title=spoken(name), xlabel="border (px)", ylabel="accuracy", ylim=(0.3, 1.03))
        axis.legend(fontsize=7)
    return figure


def ring_profiles_figure(rings: pd.DataFrame) -> Figure:
    """Accuracy by ring of locations: a panel per task and grid, a line per padding and canvas.

    Args:
        rings: ``task, grid, padding, canvas, seed, ring, accuracy``; 1 is the outermost ring.
    """
    panels = list(rings.groupby(["task", "grid"], sort=False))
    figure, axes = _panels(len(panels), columns=3)
    for axis, (_, rows) in zip(axes, panels, strict=False):
        task, grid = rows[["task", "grid"]].iloc[0]
        lines = rows.groupby(["padding", "canvas"], sort=False)
        for index, (_, of_line) in enumerate(lines):
            padding, canvas = of_line[["padding", "canvas"]].iloc[0]
            means = of_line.groupby("ring").accuracy.mean()
            style = "-" if index < 10 else "--"
            axis.plot(
                means.index, means, f"o{style}", color=f"C{index % 10}", markersize=3,
                label=f"{spoken(padding)}, {canvas}",
            )  # fmt: skip
        axis.set(title=f"{task}, {grid}x{grid}", xlabel="ring, 1 at the edge", ylabel="accuracy")
        axis.set_xticks(sorted(rows.ring.unique()))
        axis.legend(fontsize=7)
    return figure


def data_efficiency_figure(scores: pd.DataFrame) -> Figure:
    """Top-1 by the number of train images, a line per method with the seeds as points.

    Args:
        scores: ``method, n_train, seed, top1``.
    """
    figure, (axis,) = _panels(1, columns=1)
    for index, (method, rows) in enumerate(scores.groupby("method", sort=False)):
        means = rows.groupby("n_train").top1.mean()
        axis.plot(means.index, means, "-", color=f"C{index}", label=spoken(str(method)))
        axis.scatter(rows.n_train, rows.top1, color=f"C{index}", s=10)
    if len(scores):
        axis.set_xscale("log")
        counts = sorted(scores.n_train.unique())
        axis.set_xticks(counts, [str(count) for count in counts])
        axis.minorticks_off()
        axis.legend(fontsize=8)
    axis.set(xlabel="train images", ylabel="top-1")
    return figure


def red_green_figure(scores: pd.DataFrame) -> Figure:
    """Accuracy at the height of the train images and at the other, by padding; a point per seed.

    Args:
        scores: ``padding, seed, similar, dissimilar``.
    """
    figure, (axis,) = _panels(1, columns=1)
    names = list(scores.padding.unique())
    for shift, (column, colour) in enumerate(({"similar": "C0", "dissimilar": "C1"}).items()):
        places = scores.padding.map(names.index) + 0.2 * shift - 0.1
        axis.scatter(places, scores[column], s=12, color=colour, label=column)
    axis.axhline(0.5, color="grey", linewidth=0.8)
    axis.set_xticks(range(len(names)), [spoken(name) for name in names])
    axis.set(ylabel="accuracy", ylim=(-0.03, 1.03))
    if names:
        axis.legend(fontsize=8)
    return figure


def _panels(count: int, columns: int) -> tuple[Figure, list[Axes]]:
    """Room for so many panels, one at least; those that are not needed are hidden."""
    columns = max(1, min(columns, count))
    rows = max(1, -(-count // columns))
    figure = Figure(
        figsize=(3.6 * columns + 1, 3.0 * rows), dpi=PIXELS_PER_INCH, layout="constrained"
    )
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes[count:]:
        axis.set_visible(False)
    return figure, axes
