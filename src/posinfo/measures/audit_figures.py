"""Figures of an audit, each of one network."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from posinfo.measures.figures import grid_of_axes

APART = 20  # times the lowest bar that the highest is, beyond which the scale is logarithmic
LEAST = 1e-7  # relative error; float32 rounds about there, and a logarithm has no zero


def rings_figure(
    rings: Mapping[str, Float[np.ndarray, "p r"]], strides: Mapping[str, int], tolerance: float
) -> Figure:
    """Error of each map by distance to the border, mean over photographs.

    Args:
        rings: of each photograph and ring, the outermost first, by name of the map.
        strides: pixels of the image per pixel of the map.
        tolerance: below which a map counts as the same.
    """
    figure, axis = _one()
    for name, values in rings.items():
        distance = strides[name] * np.arange(values.shape[1])
        axis.plot(distance, values.mean(0).clip(LEAST), marker=".", label=name)
    axis.axhline(tolerance, color="grey", linestyle=":", label="tolerance")
    axis.set_yscale("log")
    axis.set_xlabel("distance to the border (px of the image)")
    axis.set_ylabel("relative error")
    axis.legend(fontsize=7)
    return figure


def mean_maps_figure(maps: Mapping[str, Float[np.ndarray, "_ _"]]) -> Figure:
    """Mean size of the activations at each place, as a share of the mean over the map."""
    figure, axes = grid_of_axes(1, len(maps))
    image = None
    for axis, (name, values) in zip(axes[0], maps.items(), strict=True):
        image = axis.imshow(values, vmin=0.5, vmax=1.5, cmap="RdBu_r")
        axis.set_title(name, fontsize=8)
    if image is not None:
        figure.colorbar(image, ax=axes, shrink=0.7)
    return figure


def tiles_figure(
    margins: Sequence[int],
    errors: Mapping[str, Sequence[tuple[float, float, float]]],
    tolerance: float,
    reach: int | None,
) -> Figure:
    """Error of two tiles by their overlap.

    Args:
        margins: pixels beyond the cut that each tile gets.
        errors: by label, mean and ends of the interval for each margin.
        tolerance: the error that is allowed.
        reach: margin beyond which tiles are exact; None: there is none.
    """
    figure, axis = _one()
    overlaps = 2 * np.array(margins)
    for (label, values), line in zip(errors.items(), ("-", "--", ":"), strict=False):
        mean, low, high = np.array(values).T.clip(LEAST)
        axis.plot(overlaps, mean, line, marker="o", markersize=4, label=label)
        axis.fill_between(overlaps, low, high, alpha=0.2)
    axis.axhline(tolerance, color="grey", linestyle=":", label="tolerance")
    if reach is not None and 2 * reach <= overlaps[-1] * 1.2:
        axis.axvline(2 * reach, color="black", linestyle="--", label="exact by construction")
    axis.set_yscale("log")
    axis.set_xlabel("overlap of two tiles (px)")
    axis.set_ylabel("relative error, worst column")
    axis.legend(fontsize=7)
    return figure


def shifts_figure(maps: Mapping[str, Float[np.ndarray, "k k"]], offsets: Sequence[int]) -> Figure:
    """A quantity for each offset of the window, a panel each."""
    figure, axes = grid_of_axes(1, len(maps))
    image, low = None, min(float(values.min()) for values in maps.values())
    for axis, (title, values) in zip(axes[0], maps.items(), strict=True):
        image = axis.imshow(values, vmin=low, vmax=1, cmap="viridis")
        axis.set_title(title, fontsize=8)
        axis.set_xticks(range(len(offsets)), offsets, fontsize=6)
        axis.set_yticks(range(len(offsets)), offsets, fontsize=6)
    if image is not None:
        figure.colorbar(image, ax=axes, shrink=0.7)
    return figure


def bars_figure(values: pd.DataFrame, what: str) -> Figure:
    """Bars with intervals.

    Args:
        values: index: names below groups of bars; columns: a bar of each group; cells: tuples of
            mean and ends of the interval.
        what: label of the axis.
    """
    figure, axis = _one()
    width = 0.8 / max(1, values.shape[1])
    for number, column in enumerate(values):
        mean, low, high = np.array(values[column].tolist(), dtype=float).reshape(-1, 3).T
        places = np.arange(len(values)) + number * width
        ends = np.nan_to_num(np.stack([mean - low, high - mean])).clip(0)
        axis.bar(places, mean, width, yerr=ends, capsize=2, label=str(column))
    heights = np.array([each[0] for column in values for each in values[column]])
    if heights.min() > 0 and heights.max() > APART * heights.min():
        axis.set_yscale("log")
    middle = width * (values.shape[1] - 1) / 2
    axis.set_xticks(np.arange(len(values)) + middle, list(values.index), fontsize=8)
    axis.set_ylabel(what)
    if values.shape[1] > 1:
        axis.legend(fontsize=7)
    return figure


def _one() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    return figure, figure.subplots()
