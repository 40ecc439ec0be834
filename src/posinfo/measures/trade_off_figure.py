"""What consistency costs in accuracy."""

import pandas as pd
from matplotlib.figure import Figure

from posinfo.measures.figures import PIXELS_PER_INCH, spoken


def trade_off_figure(scores: pd.DataFrame) -> Figure:
    """Top-1 against exact consistency: a point per method and seed, a colour per method.

    Args:
        scores: ``method, top1, consistency_exact``, one row per method and seed.
    """
    figure = Figure(figsize=(5.5, 4.2), dpi=PIXELS_PER_INCH, layout="constrained")
    axis = figure.subplots()
    for index, (method, rows) in enumerate(scores.groupby("method", sort=False)):
        axis.scatter(
            rows.top1, rows.consistency_exact, color=f"C{index}", label=spoken(str(method)), s=28
        )
    axis.set(xlabel="top-1", ylabel="exact consistency")
    figure.legend(loc="outside right upper", fontsize=8)
    return figure
