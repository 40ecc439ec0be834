"""How every table summarises its cells and writes its numbers."""

import numpy as np
import pandas as pd


def over_seeds(scores: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Mean and sd of each cell over its seeds.

    Args:
        scores: one row per cell and seed, with ``spc, mae, floor, skill, n, n_constant``.
        keys: columns that name a cell.

    Returns:
        A row per cell: ``keys, spc, spc_sd, mae, mae_sd, floor, skill, n_seeds, n, n_constant``;
        sd is NaN for a single seed.
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
    ).reset_index()


def with_sd(mean: float, sd: float) -> str:
    """``0.123 ± 0.004``, without the second half where there is one seed."""
    return number(mean) + ("" if np.isnan(sd) else f" ± {sd:.3f}")


def number(value: float) -> str:
    """Three decimals; nothing where there is no number."""
    return "" if np.isnan(value) else f"{value:.3f}"
