"""Figures of the channel attack."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from posinfo.measures.channel_rankings import MATCHED, NONE, RANDOM
from posinfo.measures.figures import PIXELS_PER_INCH, grid_of_axes, spoken
from posinfo.stimuli.labelled_photographs import IGNORED

DRAWN = (2.5, 97.5)  # percentiles of random draws between which the band lies
PANELS = 3  # side by side
CLASS_COLOURS = ListedColormap(
    ["#4682b4", "#464646", "#6b8e23", "#804080", "#f423e8", "#00008e", "#dc143c", "#dcdc00"]
)  # those of Cityscapes, for the classes of our scenes


def tops_of_first(scores: pd.DataFrame) -> pd.DataFrame:
    """Of one network's scores, what its curve shows: its first protocol and replacement, no bands.

    Args:
        scores: ``protocol, replacement, ranking, top``, in the order in which they were attacked.
    """
    first = scores.protocol == scores.protocol.iloc[0]
    kept = scores.replacement == scores.loc[scores.ranking != NONE].replacement.iloc[0]
    return scores.loc[first & scores.top & (kept | (scores.ranking == NONE))]


def curves_figure(scores: pd.DataFrame, change: str = "change of mean IoU") -> Figure:
    """What silenced channels take off a score, a panel per network, a line per ranking.

    Each attack is compared with the intact network of the same seed.

    Args:
        scores: rows of one protocol, region and replacement, ``network, seed, ranking, n_channels,
            draw, miou``. Lines are means over seeds, the band goes from percentile 2.5 to 97.5 of
            the same means of the draws of ``random``.
        change: what the change of the score is called.
    """
    figure, panels = _panels(list(dict.fromkeys(scores.network)))
    if not panels:
        return figure
    for network, rows in _changes(scores).groupby("network", sort=False):
        axis = panels[str(network)]
        drawn = rows.loc[rows.ranking.isin([NONE, RANDOM])]
        # a draw of each seed makes one mean over seeds, as the lines are
        means = drawn.groupby(["n_channels", "draw"]).change.mean().groupby("n_channels")
        low, high = (means.quantile(percentile / 100) for percentile in DRAWN)
        axis.fill_between(low.index, low, high, color="0.8", label="random, 95 % of draws")
        named = [name for name in rows.ranking.unique() if name not in (NONE, RANDOM, MATCHED)]
        for index, name in enumerate(named):
            line = rows.loc[rows.ranking.isin([NONE, name])].groupby("n_channels").change.mean()
            axis.plot(line, color=f"C{index}", linewidth=1.2, marker=".", label=spoken(name))
        axis.set(xlabel="silenced channels", ylabel=change)
        axis.set_title(spoken(str(network)), fontsize=9)
    handles = next(iter(panels.values())).get_legend_handles_labels()
    ncols = 2 * min(PANELS, len(panels))  # a single panel has no room for more
    figure.legend(*handles, loc="outside lower center", ncols=ncols, fontsize=8)
    return figure


def bands_figure(scores: pd.DataFrame) -> Figure:
    """Mean IoU without one band of ranks after another, a panel per network.

    Args:
        scores: rows of ``overall``, of one protocol, region and replacement: ``network, band,
            miou``.
    """
    figure, panels = _panels(list(dict.fromkeys(scores.network)))
    for network, rows in scores.groupby("network", sort=False):
        axis, means = panels[str(network)], rows.groupby("band", sort=False).miou.mean()
        axis.bar(range(len(means)), means, color="C0", width=0.7)
        axis.set_xticks(range(len(means)), [str(band) for band in means.index], fontsize=7)
        axis.set(xlabel="silenced ranks", ylabel="mean IoU")
        axis.set_title(spoken(str(network)), fontsize=9)
        axis.set_ylim(max(0, means.min() - 0.1), means.max() + 0.02)
    return figure


def channel_maps_figure(maps: Mapping[str, Sequence[Float[np.ndarray, "_ _"]]]) -> Figure:
    """Mean activation maps of the first channels of an order, a row per network and order.

    Each map has colours of its own, from its lowest to its highest value.
    """
    figure, axes = grid_of_axes(len(maps), max(map(len, maps.values())))
    for row, (name, of_row) in zip(axes, maps.items(), strict=True):
        row[0].set_title(spoken(name), fontsize=8, loc="left")
        for axis, values in zip(row, of_row, strict=False):
            axis.imshow(values, cmap="viridis")
        for axis in row[len(of_row) :]:
            axis.set_visible(False)
    return figure


def predictions_figure(
    images: UInt8[np.ndarray, "p 3 h w"],
    labels: UInt8[np.ndarray, "p h w"],
    predictions: Mapping[str, UInt8[np.ndarray, "p h w"]],
    classes: int,
) -> Figure:
    """Scenes, their classes, and what is predicted: a column per scene.

    Args:
        images: RGB values 0..255.
        labels: the right classes; ``IGNORED`` stays white.
        predictions: by title of the row.
        classes: number of them.
    """
    rows = {"classes": np.ma.masked_equal(labels, IGNORED), **predictions}
    rows = {"image": images.transpose(0, 2, 3, 1), **rows}
    colours = CLASS_COLOURS if classes <= CLASS_COLOURS.N else colormaps["tab20"]
    figure, axes = grid_of_axes(len(rows), len(images))
    figure.set_size_inches(2.6 * len(images) + 0.6, 1.4 * len(rows) + 0.2)
    for row, (name, pictures) in zip(axes, rows.items(), strict=True):
        row[0].set_ylabel(spoken(name), fontsize=8)
        for axis, picture in zip(row, pictures, strict=True):
            last = colours.N - 1
            axis.imshow(picture, cmap=colours, vmin=0, vmax=last, interpolation="nearest")
    return figure


def _panels(names: list[str]) -> tuple[Figure, dict[str, Axes]]:
    columns = min(PANELS, max(1, len(names)))
    rows = max(1, -(-len(names) // columns))
    size = (3.6 * columns + 0.4, 2.8 * rows + 0.7)
    figure = Figure(figsize=size, dpi=PIXELS_PER_INCH, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flat
    panels = dict(zip(names, axes, strict=False))
    for axis in figure.axes[len(names) :]:
        axis.set_visible(False)
    return figure, panels


def _changes(scores: pd.DataFrame) -> pd.DataFrame:
    """``change``: mean IoU minus that of the intact network of the same seed."""
    unit = ["network", "seed"]
    intact = scores.loc[scores.ranking == NONE].set_index(unit).miou.rename("intact")
    joined = scores.join(intact, on=unit)
    return joined.assign(change=joined.miou - joined.intact)
