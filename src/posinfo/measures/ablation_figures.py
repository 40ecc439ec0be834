"""Figures 5, 6 and 7 of Islam et al. (ICLR 2020), in their layout."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure
from torch import Tensor

from posinfo.measures.figures import LABEL_WIDTH, Maps, grid_of_axes, show_map, spoken
from posinfo.measures.metrics import mean_absolute_error, spearman


@dataclass(frozen=True)
class Panel:
    """One predicted map and what it is called."""

    title: str
    prediction: Float[Tensor, "h w"]


def layers_and_kernels_figure(masks: Maps, columns: dict[str, Maps]) -> Figure:
    """Figure 5: a row per pattern; ground truth, then a column per number of layers and kernel.

    Args:
        masks: ground truth by pattern.
        columns: predicted maps by title and pattern; a pattern that is not there stays blank.
    """
    figure, axes = grid_of_axes(len(masks), len(columns) + 1)
    for row, (pattern, mask) in zip(axes, masks.items(), strict=True):
        row[0].set_ylabel(spoken(pattern), fontsize=9)
        show_map(row[0], mask, low=float(mask.min()))
        for axis, maps in zip(row[1:], columns.values(), strict=True):
            if pattern in maps:
                show_map(axis, maps[pattern], low=float(mask.min()))
            else:
                axis.set_visible(False)
    for axis, title in zip(axes[0], ["ground truth", *columns], strict=True):
        axis.set_title(spoken(title), fontsize=8)
    return figure


def padding_figure(
    image: UInt8[np.ndarray, "3 h w"], mask: Float[Tensor, "h w"] | None, panels: Sequence[Panel]
) -> Figure:
    """Figure 6: image, ground truth and one prediction per padding, with its SPC and MAE.

    Args:
        image: that all of them are read from.
        mask: ground truth; None where the pattern is not measured, which leaves the image alone.
        panels: predicted maps.
    """
    figure, axes = grid_of_axes(1, len(panels) + 2)
    axes[0, 0].imshow(image.transpose(1, 2, 0))
    axes[0, 0].set_title("image", fontsize=8)
    if mask is None:
        return figure
    show_map(axes[0, 1], mask)
    axes[0, 1].set_title("ground truth", fontsize=8)
    for axis, panel in zip(axes[0, 2:], panels, strict=True):
        show_map(axis, panel.prediction)
        lines = [textwrap.fill(line, LABEL_WIDTH) for line in spoken(panel.title).split("\n")]
        axis.set_title("\n".join(lines), fontsize=8)
        spc = np.nan_to_num(spearman(panel.prediction, mask).item())
        mae = mean_absolute_error(panel.prediction, mask).item()
        axis.set_xlabel(f"{spc:.3f}, {mae:.3f}", fontsize=8)
    return figure


def error_maps_figure(errors: dict[str, Float[Tensor, "h w"]]) -> Figure:
    """Figure 7: the mean absolute error of every pixel, one panel per backbone on one scale."""
    figure, axes = grid_of_axes(1, max(1, len(errors)))
    highest = max((float(error.max()) for error in errors.values()), default=1)
    for axis, (backbone, error) in zip(axes[0], errors.items(), strict=False):
        picture = axis.imshow(error.numpy(), vmin=0, vmax=highest, cmap="inferno")
        name = spoken(backbone).replace("-", "\n")
        axis.set_title(f"{name}\n{float(error.mean()):.3f}", fontsize=8)
    if errors:
        figure.colorbar(picture, ax=axes, shrink=0.7)
    return figure
