"""Table 1 of Islam et al. (ICLR 2020), with what it leaves out: spread, floor and controls."""

from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64
from scipy.stats import bootstrap

from posinfo.measures.islam2020 import SETTINGS, differences_markdown
from posinfo.measures.reporting import number, over_seeds, with_sd

RESAMPLES = 2000
CONFIDENCE = 0.95
CELL = ["pattern", *SETTINGS, "stimulus"]


def photograph_interval(images: pd.DataFrame, seed: int = 0) -> tuple[float, float]:
    """A 95 % bootstrap interval of the mean SPC of one cell over photographs and readout seeds.

    Crops of one photograph are not independent, so whole photographs are drawn, and independently
    of them whole seeds.

    Args:
        images: one row per image and seed of one backbone, pattern and stimulus, columns
            ``photograph, seed, spc`` as ``score_images`` returns them.
        seed: of the resampling.

    Returns:
        Its lower and its upper end, as SPC; NaN where there is a single photograph.
    """
    means = images.fillna({"spc": 0}).pivot_table(index="photograph", columns="seed", values="spc")
    if len(means) < 2:
        return np.nan, np.nan
    values = means.to_numpy()
    if values.shape[1] == 1:
        values = values.repeat(2, axis=1)  # scipy draws from two or more
    result = bootstrap(
        tuple(np.arange(size) for size in values.shape),
        partial(_resampled_means, values),
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return result.confidence_interval.low, result.confidence_interval.high


def table1(scores: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Mean and sd over seeds of each cell, its interval over photographs, and its selectivity.

    Args:
        scores: one row per cell and seed, columns ``CELL, seed, spc, mae, floor, skill, n,
            n_constant``.
        images: what ``score_images`` returns, with a column ``backbone``; ``scores`` are its means.

    Returns:
        A row per pattern, backbone and stimulus. ``selectivity`` is the SPC of the pattern minus
        that of the control pattern.
    """
    table = over_seeds(scores, CELL)
    keys = ["pattern", "backbone", "stimulus"]
    intervals = {cell: photograph_interval(rows) for cell, rows in images.groupby(keys, sort=False)}
    table[["spc_low", "spc_high"]] = [intervals[cell] for cell in _tuples(table, keys)]
    photographs = images.groupby(keys).photograph.nunique()
    table["n_photographs"] = [photographs[cell] for cell in _tuples(table, keys)]
    control = table[table.pattern == "control"].set_index(["backbone", "stimulus"]).spc
    table["selectivity"] = table.spc - [
        control.get(cell, np.nan) for cell in _tuples(table, ["backbone", "stimulus"])
    ]
    patterns = {pattern: rank for rank, pattern in enumerate(table.pattern.unique())}
    return table.sort_values("pattern", key=lambda column: column.map(patterns), kind="stable")


def table1_markdown(table: pd.DataFrame) -> str:
    """The table as a reader wants it: photographs in full, the other stimuli by their SPC.

    Args:
        table: that of ``table1`` with the columns of ``beside_paper``.
    """
    photos = table[table.stimulus == "photos"].set_index(["pattern", "backbone"])
    shown = pd.DataFrame(
        {
            "SPC": list(map(with_sd, photos.spc, photos.spc_sd)),
            "95 % interval": [
                "" if np.isnan(low) else f"{low:.2f} to {high:.2f}"
                for low, high in zip(photos.spc_low, photos.spc_high, strict=True)
            ],
            "paper's SPC": photos.published_spc.map(number),
            "MAE": list(map(with_sd, photos.mae, photos.mae_sd)),
            "floor": photos.floor.map(number),
            "paper's MAE": photos.published_mae_rescaled.map(number),
            "selectivity": photos.selectivity.map(number),
        }
    )
    for stimulus in table.stimulus.unique():
        if stimulus != "photos":
            spc = table[table.stimulus == stimulus].set_index(["pattern", "backbone"]).spc
            shown[stimulus] = spc.map(number)
    text = shown.reset_index().to_markdown(index=False, disable_numparse=True)
    return text + differences_markdown(table)


def _resampled_means(
    values: Float[np.ndarray, "p s"],
    rows: Int64[np.ndarray, "*d p"],
    columns: Int64[np.ndarray, "*d s"],
    axis: int = -1,
) -> Float[np.ndarray, "*d"]:
    """The mean of the values where drawn rows and drawn columns meet, for every draw."""
    assert axis == -1, "scipy puts the drawn indices last"
    drawn = values[rows[..., :, None], columns[..., None, :]]
    return drawn.reshape(*drawn.shape[:-2], -1).mean(-1)


def _tuples(table: pd.DataFrame, keys: list[str]) -> list[tuple]:
    return list(table[keys].itertuples(index=False, name=None))
