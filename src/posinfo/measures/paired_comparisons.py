"""How far the cells of a table differ, paired over seeds or photographs, with an interval."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from posinfo.measures.intervals import CONFIDENCE, mean_interval

ROUNDING = 1e-6  # of float32, as a share of the scores: differences that differ by less are equal

Pair = tuple[str, str]
"""A cell, and the one whose number is subtracted."""


def paired_comparisons(
    scores: pd.DataFrame,
    within: Sequence[str],
    measures: Sequence[str],
    over: str = "seed",
    pairs: Sequence[Pair] | None = None,
) -> pd.DataFrame:
    """The mean difference of two cells over the units that they have in common.

    Args:
        scores: one row per cell, unit and place, columns ``within, cell, over`` and the measures.
        within: columns of a place, such as a data set: cells are compared in one place.
        measures: columns of numbers; a unit where one of two is NaN is left out.
        over: column of the independent units, ``seed`` or ``photograph``.
        pairs: of cells to compare; None: every two, the later one minus the earlier.

    Returns:
        A row per place, measure and pair with two units or more: ``within, measure, cell, against,
        difference, low, high, n_OVERs, separable``. ``difference`` is ``cell`` minus ``against``;
        ``low`` and ``high`` are the ends of its 95 % interval (``mean_interval``), in the unit of
        the measure. ``separable`` says that 0 lies outside. Each interval is right 95 % of the time
        by itself: of many, some miss. Differences that are all equal, as coarse scores have them,
        have an interval without width, whose coverage is unknown: ``separable`` is then the sign
        test's answer, which asks for six units.
    """
    lines = []
    for _, rows in scores.groupby(list(within), sort=False) if within else [((), scores)]:
        place = {name: rows[name].iloc[0] for name in within}
        every = [(cell, against) for against, cell in combinations(rows.cell.unique(), 2)]
        for measure in measures:
            compared = _compared(rows, measure, over, every if pairs is None else pairs)
            lines += [{**place, **line} for line in compared]
    return pd.DataFrame(lines, columns=[*within, *_columns(over)])


def comparisons_markdown(
    comparisons: pd.DataFrame,
    within: Sequence[str],
    measures: Mapping[str, str],
    over: str = "seed",
) -> str:
    """A table for reading per place: a line per pair, a column per measure.

    Args:
        comparisons: of ``paired_comparisons``.
        within: columns of a place.
        measures: what each measure is called.
        over: the independent units.
    """
    if comparisons.empty:
        return f"No two rows have two {over}s in common: nothing is compared.\n"
    said = (
        f"Paired differences over {over}s: mean (95 % interval, each of {len(comparisons)} by "
        "itself). **Separable**: 0 lies outside, and where the interval has no width there are six "
        f"{over}s or more; all others are not separable.\n"
    )
    places = comparisons.groupby(list(within), sort=False) if within else [((), comparisons)]
    return "\n".join([said, *(_of_one_place(rows, within, measures, over) for _, rows in places)])


def _columns(over: str) -> list[str]:
    return ["measure", "cell", "against", "difference", "low", "high", f"n_{over}s", "separable"]


def _compared(
    rows: pd.DataFrame, measure: str, over: str, pairs: Iterable[Pair]
) -> Iterator[dict[str, Any]]:
    by_unit = rows.pivot(index=over, columns="cell", values=measure)
    for cell, against in pairs:
        differences = (by_unit[cell] - by_unit[against]).dropna()
        if len(differences) < 2:
            continue
        low, high = mean_interval(differences.to_numpy())
        scale = by_unit[[cell, against]].abs().max(axis=None)
        if np.ptp(differences) > ROUNDING * scale:
            separable = bool(low > 0 or high < 0)
        else:
            separable = _signs_tell(differences.to_numpy(), ROUNDING * scale)
        values = differences.mean(), low, high, len(differences), separable
        yield dict(zip(_columns(over), (measure, cell, against, *values), strict=True))


def _signs_tell(equal: np.ndarray, rounding: float) -> bool:
    signs = binomtest(len(equal), len(equal)).pvalue
    return bool(abs(equal.mean()) > rounding and signs < 1 - CONFIDENCE)


def _of_one_place(
    rows: pd.DataFrame, within: Sequence[str], measures: Mapping[str, str], over: str
) -> str:
    lines = []
    for _, pair in rows.groupby(["cell", "against"], sort=False):
        first = pair.iloc[0]
        line = {"pair": f"{first.cell} - {first.against}", f"{over}s": pair[f"n_{over}s"].min()}
        lines.append(
            line | {measures[row["measure"]]: _said(row) for row in pair.to_dict("records")}
        )
    text = pd.DataFrame(lines).fillna("").to_markdown(index=False, disable_numparse=True)
    place = ", ".join(str(rows[name].iloc[0]) for name in within)
    return f"{place}:\n\n{text}\n" if place else f"{text}\n"


def _said(row: Mapping[Any, Any]) -> str:
    text = f"{row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"
    return f"**{text}**" if row["separable"] else text
