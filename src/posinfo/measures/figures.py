"""Figures, drawn without pyplot so that no display and no global state is needed."""

import textwrap
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

Maps = dict[str, Float[Tensor, "h w"]]
LABEL_WIDTH = 18  # letters beside a row
PIXELS_PER_INCH = 110


def masks_figure(masks: Maps) -> Figure:
    """The ground-truth maps side by side."""
    figure, axes = grid_of_axes(1, len(masks))
    for axis, (pattern, mask) in zip(axes[0], masks.items(), strict=True):
        show_map(axis, mask, low=float(mask.min()))
        axis.set_title(spoken(pattern), fontsize=9)
    return figure


def images_figure(rows: Mapping[str, UInt8[np.ndarray, "n 3 h w"]]) -> Figure:
    """Rows of images, each with its name."""
    figure, axes = grid_of_axes(len(rows), max(map(len, rows.values())))
    for row, (name, images) in zip(axes, rows.items(), strict=True):
        for axis, image in zip(row, images, strict=False):
            axis.imshow(image.transpose(1, 2, 0))
        row[0].set_ylabel(spoken(name), fontsize=9)
    return figure


def predicted_maps_figure(
    image: UInt8[np.ndarray, "3 h w"], masks: Maps, predictions: dict[str, Maps]
) -> Figure:
    """What each backbone's readouts say of one image (Islam et al., figure 3).

    Args:
        image: the image that was shown.
        masks: ground truth by pattern: the columns.
        predictions: maps by backbone and pattern: the rows.
    """
    figure, axes = grid_of_axes(len(predictions) + 1, len(masks) + 1)
    axes[0, 0].imshow(image.transpose(1, 2, 0))
    axes[0, 0].set_title("image", fontsize=9)
    for axis in axes[1:, 0]:
        axis.set_visible(False)
    rows = {"ground truth": masks, **predictions}
    for row, (backbone, maps) in zip(axes[:, 1:], rows.items(), strict=True):
        for axis, pattern in zip(row, masks, strict=True):
            show_map(axis, maps[pattern], low=float(masks[pattern].min()))
        row[0].set_ylabel(textwrap.fill(spoken(backbone), LABEL_WIDTH), fontsize=9)
    for axis, pattern in zip(axes[0, 1:], masks, strict=True):
        axis.set_title(spoken(pattern), fontsize=9)
    return figure


def grid_of_axes(rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    """An empty figure and its axes, shape (rows, columns), without ticks."""
    figure = Figure(
        figsize=(1.45 * columns + 0.4, 1.45 * rows + 0.3), dpi=PIXELS_PER_INCH, layout="constrained"
    )
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    return figure, axes


def show_map(axis: Axes, values: Tensor, low: float = 0, high: float = 1) -> None:
    """A map between two colours."""
    axis.imshow(values.cpu().numpy(), vmin=low, vmax=high, cmap="viridis")


def spoken(name: str) -> str:
    """A label as a reader wants it."""
    return name.replace("_", " ")
