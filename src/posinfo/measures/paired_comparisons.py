"""How far the cells of a table differ, paired over their seeds, with an interval."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import pandas as pd

from posinfo.measures.intervals import mean_interval

COLUMNS = ["measure", "cell", "against", "difference", "low", "high", "n_seeds", "separable"]


def paired_comparisons(
    scores: pd.DataFrame, within: Sequence[str], measures: Sequence[str]
) -> pd.DataFrame:
    """The mean difference of every two cells over the seeds that they have in common.

    Args:
        scores: one row per cell, seed and place, columns ``within, cell, seed`` and the measures.
        within: columns of a place, such as a data set: cells are compared in one place.
        measures: columns of numbers; a seed where one of two is NaN is left out.

    Returns:
        A row per place, measure and pair with two seeds or more: ``within, COLUMNS``.
        ``difference`` is ``cell`` minus ``against``, which stands before it in the scores; ``low``
        and ``high`` are the ends of its 95 % interval (``mean_interval``), in the unit of the
        measure. ``separable`` says that 0 lies outside. Each interval is right 95 % of the time by
        itself: of many, some miss.
    """
    lines = []
    for _, rows in scores.groupby(list(within), sort=False):
        place = rows[list(within)].iloc[0].to_dict()
        lines += [{**place, **pair} for measure in measures for pair in _pairs(rows, measure)]
    return pd.DataFrame(lines, columns=[*within, *COLUMNS])


def comparisons_markdown(
    comparisons: pd.DataFrame, within: Sequence[str], measures: Mapping[str, str]
) -> str:
    """A table for reading per place: a line per pair, a column per measure.

    Args:
        comparisons: of ``paired_comparisons``.
        within: columns of a place.
        measures: what each measure is called.
    """
    if comparisons.empty:
        return "No two rows have two seeds in common: nothing is compared.\n"
    said = (
        f"Paired differences over seeds: mean (95 % interval, each of {len(comparisons)} by "
        "itself). **Separable**: 0 lies outside; all others are not separable.\n"
    )
    places = comparisons.groupby(list(within), sort=False)
    return "\n".join([said, *(_of_one_place(rows, within, measures) for _, rows in places)])


def _pairs(rows: pd.DataFrame, measure: str) -> Iterator[dict[str, Any]]:
    by_seed = rows.pivot(index="seed", columns="cell", values=measure)
    for against, cell in combinations(rows.cell.unique(), 2):
        differences = (by_seed[cell] - by_seed[against]).dropna()
        if len(differences) < 2:
            continue
        low, high = mean_interval(differences.to_numpy())
        values = differences.mean(), low, high, len(differences), bool(low > 0 or high < 0)
        yield dict(zip(COLUMNS, (measure, cell, against, *values), strict=True))


def _of_one_place(rows: pd.DataFrame, within: Sequence[str], measures: Mapping[str, str]) -> str:
    lines = []
    for _, pair in rows.groupby(["cell", "against"], sort=False):
        first = pair.iloc[0]
        shown = {"pair": f"{first.cell} - {first.against}", "seeds": pair.n_seeds.min()}
        lines.append(
            shown | {measures[row["measure"]]: _said(row) for row in pair.to_dict("records")}
        )
    text = pd.DataFrame(lines).fillna("").to_markdown(index=False, disable_numparse=True)
    place = ", ".join(str(rows[name].iloc[0]) for name in within)
    return f"{place}:\n\n{text}\n"


def _said(row: Mapping[Any, Any]) -> str:
    text = f"{row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"
    return f"**{text}**" if row["separable"] else text
