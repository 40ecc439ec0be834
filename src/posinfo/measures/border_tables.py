"""Tables of the boundary study: means over seeds beside what Kayhan and van Gemert print."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from posinfo.measures.intervals import mean_interval
from posinfo.measures.knees import knee
from posinfo.measures.published import beside_published, published_rows
from posinfo.measures.reporting import number, with_sd

PAPER = "kayhan2020"
KNEES = ["row", "seed", "knee", "field", "error_distance", "error_reach", "n_photographs"]
SETTING = {"frozen": "frozen", "scratch": "from scratch"}


def summary(scores: pd.DataFrame, keys: Sequence[str], measures: Sequence[str]) -> pd.DataFrame:
    """Mean and sd (``_sd``) over seeds of each measure, ``floor, n_seeds, n``, a row per keys."""
    rows = scores.groupby(list(keys), sort=False, dropna=False)
    columns = {name: (name, "mean") for name in measures}
    columns |= {f"{name}_sd": (name, "std") for name in measures}
    others = {"floor": ("floor", "first"), "n_seeds": ("seed", "size"), "n": ("n", "first")}
    return rows.agg(**columns, **others).reset_index()


def beside_paper(
    table: pd.DataFrame,
    published: pd.DataFrame,
    of: str,
    keys: list[str],
    columns: Mapping[str, str],
) -> pd.DataFrame:
    """A table with the published numbers of one of the paper's tables.

    Args:
        table: ours.
        published: see published.csv.
        of: the paper's table.
        keys: columns of both.
        columns: published metrics, and what each is called beside ours.
    """
    return beside_published(table, published_rows(published, PAPER, [of]), keys, columns)


def knees(scores: pd.DataFrame, reach: pd.DataFrame) -> pd.DataFrame:
    """Three answers to the question how far a border reaches, of each network and seed.

    Args:
        scores: ``row, seed, border, accuracy``.
        reach: ``row, seed, field, error_distance``, a line per photograph.

    Returns:
        ``row, seed, knee, field, error_distance, error_reach, n_photographs`` in pixels. A border
        is lost when it is farther from the tile than a unit of the last map sees: ``field`` is the
        limit in theory. ``error_reach`` is twice ``error_distance`` (its median over photographs):
        a unit which the border changes at that distance has a tile as far on its other side.
    """
    lines = []
    for _, rows in scores.groupby(["row", "seed"], sort=False):
        name, seed = rows.row.iloc[0], rows.seed.iloc[0]
        curve = rows.sort_values(by="border")
        of_row = reach[(reach.row == name) & (reach.seed == seed)]
        distance = of_row.error_distance.median()
        lines.append(
            {
                "row": name,
                "seed": seed,
                "knee": knee(curve.border.to_numpy(float), curve.accuracy.to_numpy(float)),
                "field": of_row.field.iloc[0],
                "error_distance": distance,
                "error_reach": 2 * distance,
                "n_photographs": len(of_row),
            }
        )
    return pd.DataFrame(lines, columns=KNEES)


def ring_gaps(rings: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of the outermost ring minus that of the innermost, of each cell and seed.

    Args:
        rings: settings, ``cell, seed, ring, accuracy``.

    Returns:
        The first line of each cell and seed with ``gap`` in place of ``ring`` and ``accuracy``.
    """
    lines = []
    for _, rows in rings.groupby(["cell", "seed"], sort=False):
        ordered = rows.sort_values(by="ring")
        gap = ordered.accuracy.iloc[0] - ordered.accuracy.iloc[-1]
        lines.append({**ordered.iloc[0].drop(["ring", "accuracy"]).to_dict(), "gap": gap})
    return pd.DataFrame(lines, columns=[*rings.columns.drop(["ring", "accuracy"]), "gap"])


def with_means(
    table: pd.DataFrame, measures: Mapping[str, str], others: Mapping[str, str]
) -> pd.DataFrame:
    """A table for reading.

    Args:
        table: of ``summary``.
        measures: what each measure is called; mean and sd are written.
        others: what each other column is called; numbers are rounded, those that lack left out.
    """
    lines = []
    for row in table.to_dict("records"):
        line = {shown: _text(row[name]) for name, shown in others.items() if name in row}
        line |= {shown: with_sd(row[name], row[f"{name}_sd"]) for name, shown in measures.items()}
        lines.append(line)
    frame = pd.DataFrame(lines)
    return frame.loc[:, [name for name in frame if any(frame[name] != "")]]


def pixels_over_seeds(values: pd.Series) -> str:
    """Mean of distances in pixels and its interval, or for how many seeds they are out of sight.

    Args:
        values: one per seed; infinity: beyond what was measured; NaN: there is none.
    """
    all_of_them = values.to_numpy(float)
    known = all_of_them[np.isfinite(all_of_them)]
    if len(known) == len(all_of_them):
        low, high = mean_interval(known)
        spread = "" if np.isnan(low) or low == high else f" ({low:.0f} to {high:.0f})"
        return f"{known.mean():.0f}{spread}"
    parts = [f"{known.min():.0f} to {known.max():.0f} in {len(known)}"] if len(known) else []
    beyond, none = np.isinf(all_of_them).sum(), np.isnan(all_of_them).sum()
    parts += [f"farther than measured in {beyond}"] if beyond else []
    parts += [f"none in {none}"] if none else []
    return f"{', '.join(parts)} of {len(all_of_them)}"


def _text(value: object) -> str:
    if isinstance(value, float):
        return number(value)
    return str(value)
