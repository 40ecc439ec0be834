"""What consistency costs in accuracy."""

import pandas as pd
from matplotlib.figure import Figure

from posinfo.measures.augshift_table import RANGE, name_of
from posinfo.measures.figures import PIXELS_PER_INCH, spoken


def trade_off_figure(scores: pd.DataFrame) -> Figure:
    """Top-1 against exact consistency: a point per cell and seed, a colour per cell.

    Args:
        scores: ``cell, dataset, max_shift, shift_padding, top1, consistency_exact``, one row per
            cell, seed and range of offsets: each range has a panel.
    """
    panels = list(scores.groupby(RANGE, sort=False))
    figure = Figure(
        figsize=(1.5 + 3.6 * len(panels), 3.8), dpi=PIXELS_PER_INCH, layout="constrained"
    )
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    names = pd.Series([name_of(row) for row in scores.to_dict("records")], scores.index)
    colours = {name: f"C{index % 10}" for index, name in enumerate(names.unique())}
    shown = {}
    for axis, (_, of_range) in zip(axes, panels, strict=True):
        dataset, max_shift, padding = of_range[RANGE].iloc[0]
        for name, rows in of_range.groupby(names, sort=False):
            shown[spoken(str(name))] = axis.scatter(
                rows.top1, rows.consistency_exact, color=colours[name], s=28
            )
        axis.set_title(f"{dataset}, 0 to {max_shift} px, {padding}", fontsize=9)
        axis.set(xlabel="top-1", ylabel="exact consistency")
    figure.legend(list(shown.values()), list(shown), loc="outside right upper", fontsize=8)
    return figure
