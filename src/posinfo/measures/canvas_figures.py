"""Figures of the experiments on shifted canvases."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from posinfo.measures.figures import PIXELS_PER_INCH, grid_of_axes, spoken

Curves = tuple[Float[np.ndarray, " epochs"], Float[np.ndarray, " epochs"]]
"""Train loss and validation accuracy of each epoch."""

WRITTEN = 7  # locations per side; more have no room for numbers
TITLE_WIDTH = 26  # letters
LABELLED = 25  # classes; more have no room for their names


def learning_curves_figure(curves: Mapping[str, Sequence[Curves]]) -> Figure:
    """Train loss and validation accuracy by epoch: a colour per cell, a line per seed."""
    figure = Figure(figsize=(9, 4.2), dpi=PIXELS_PER_INCH, layout="constrained")
    axes = figure.subplots(1, 2)
    for index, (label, seeds) in enumerate(curves.items()):
        for number, seed in enumerate(seeds):
            for axis, values in zip(axes, seed, strict=True):
                axis.plot(
                    np.arange(1, len(values) + 1),
                    values,
                    color=f"C{index % 10}",
                    linestyle="-" if index < 10 else "--",
                    linewidth=1,
                    label=spoken(label) if number == 0 else None,
                )
    for axis, what in zip(axes, ("train loss", "validation accuracy"), strict=True):
        axis.set(xlabel="epoch", ylabel=what)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[1].set_ylim(0, 1.02)
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8
    )
    return figure


def accuracy_maps_figure(
    maps: Mapping[str, Float[np.ndarray, "g g"]],
    what: str = "accuracy",
    low: float = 0,
    columns: int = 4,
) -> Figure:
    """Accuracy at each location of the canvas, a canvas per cell of the table.

    Args:
        maps: by label of the cell, or by a title of several lines.
        what: is shown, if not accuracy.
        low: where the colours begin.
        columns: panels side by side, at most.
    """
    figure, axes = _panels(len(maps), min(columns, len(maps)))
    image = None
    for axis, (label, values) in zip(axes.flat, maps.items(), strict=False):
        image = axis.imshow(values, vmin=low, vmax=1, cmap="viridis")
        axis.set_title(_broken(label), fontsize=8)
        if len(values) <= WRITTEN:
            _write(axis, values, bright=low + 0.6 * (1 - low))
    if image is not None:
        figure.colorbar(image, ax=axes, shrink=0.7, label=what)
    return figure


def agreement_figure(maps: Mapping[str, Float[np.ndarray, "_ _"]], ranges: int) -> Figure:
    """Agreement by offset, a panel per map, colours from the lowest agreement on.

    Args:
        maps: by title of the panel; those of one network follow each other.
        ranges: of offsets of each network, which stand side by side.
    """
    lowest = min(float(values.min()) for values in maps.values())
    columns = ranges if ranges > 1 else 4
    return accuracy_maps_figure(maps, "agreement with the middle", lowest, columns)


def confusions_figure(confusions: Mapping[str, Float[np.ndarray, "t a"]]) -> Figure:
    """Answers by what was right, as shares of each row, a matrix per cell of the table."""
    columns = min(4, len(confusions))
    figure, axes = _panels(len(confusions), columns)
    image = None
    for axis, (label, shares) in zip(axes.flat, confusions.items(), strict=False):
        image = axis.imshow(shares, vmin=0, vmax=1, cmap="viridis")
        axis.set_title(_broken(label), fontsize=8)
        axis.set_xlabel("answer", fontsize=8)
        axis.set_ylabel("right", fontsize=8)
        if len(shares) <= LABELLED:
            axis.set_xticks(range(len(shares)))
            axis.set_yticks(range(len(shares)))
            axis.tick_params(labelsize=6, length=0)
    if image is not None:
        figure.colorbar(image, ax=axes, shrink=0.7, label="share of the row")
    return figure


def _panels(count: int, columns: int) -> tuple[Figure, np.ndarray]:
    """Room for so many panels; those that are not needed are hidden."""
    figure, axes = grid_of_axes(-(-count // columns), columns)
    figure.set_size_inches(2.6 * columns + 1, 2.7 * len(axes) + 0.2)
    for axis in axes.flat[count:]:
        axis.set_visible(False)
    return figure, axes


def _write(axis: Axes, values: Float[np.ndarray, "g g"], bright: float) -> None:
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if value < bright else "black"
        axis.text(column, row, f"{value:.2f}", color=colour, ha="center", va="center", fontsize=8)


def _broken(label: str) -> str:
    """A label on several lines, network and permutation on the first; a title as it is."""
    if "\n" in label:
        return label
    words = label.split("-")
    return "\n".join([" ".join(words[:2]), *textwrap.wrap(" ".join(words[2:]), TITLE_WIDTH)])
