"""How every table summarises its cells and writes its numbers."""

import numpy as np
import pandas as pd

STUCK_NOTE = (
    "\n\nStuck: readouts at the constant map, which leave 95 % of the target's variance on their "
    "own train images. They are in the means."
)


def over_seeds(scores: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Mean and sd of each cell over its seeds.

    Args:
        scores: one row per cell and seed, with ``spc, mae, floor, skill, n, n_constant,
            stuck``.
        keys: columns that name a cell.

    Returns:
        A row per cell: ``keys, spc, spc_sd, mae, mae_sd, floor, skill, n_seeds, n, n_constant,
        n_stuck``; sd is NaN for a single seed. Stuck readouts are in the means.
    """
    cells = scores.groupby(keys, sort=False)
    return cells.agg(
        spc=("spc", "mean"),
        spc_sd=("spc", "std"),
        mae=("mae", "mean"),
        mae_sd=("mae", "std"),
        floor=("floor", "first"),
        skill=("skill", "mean"),
        n_seeds=("spc", "size"),
        n=("n", "first"),
        n_constant=("n_constant", "sum"),
        n_stuck=("stuck", "sum"),
    ).reset_index()


def with_sd(mean: float, sd: float) -> str:
    """``0.123 ± 0.004``, without the second half where there is one seed."""
    return number(mean) + ("" if np.isnan(sd) else f" ± {sd:.3f}")


def with_interval(means: pd.Series, lows: pd.Series, highs: pd.Series) -> list[str]:
    """``+0.012 (-0.003 to +0.027)``, without the second half where there is one seed."""
    return [
        f"{mean:+.3f}" + ("" if np.isnan(low) else f" ({low:+.3f} to {high:+.3f})")
        for mean, low, high in zip(means, lows, highs, strict=True)
    ]


def with_stuck(text: str, stuck: int, readouts: int) -> str:
    """``0.549 ± 0.373 (1 of 3 stuck)``, without the second half where none is."""
    return f"{text} ({stuck} of {readouts} stuck)" if stuck else text


def stuck_note(table: pd.DataFrame) -> str:
    """What ``with_stuck`` counts, below a table in which there is any."""
    return STUCK_NOTE if table.n_stuck.any() else ""


def split_note(table: pd.DataFrame) -> str:
    """Which images were measured, below a table by whose column ``split`` they are no test ones."""
    others = " and ".join(sorted(set(table.split) - {"test"}))
    return f"\n\nMeasured on {others} images, which have no published numbers." if others else ""


def number(value: float) -> str:
    """Three decimals; nothing where there is no number."""
    return "" if np.isnan(value) else f"{value:.3f}"
