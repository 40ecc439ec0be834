"""Table 1 of Islam et al. (ICLR 2020), with what it leaves out: spread, floor and controls."""

import numpy as np
import pandas as pd
from scipy.stats import bootstrap

from posinfo.measures.reporting import number, over_seeds, with_sd

RESAMPLES = 2000
CONFIDENCE = 0.95
CELL = ["pattern", "backbone", "weights", "padding", "stimulus"]


def photograph_interval(images: pd.DataFrame, seed: int = 0) -> tuple[float, float]:
    """A 95 % bootstrap interval of the mean SPC of one cell over photographs and readout seeds.

    Crops of one photograph are not independent, so whole photographs are drawn, and independently
    of them whole seeds.

    Args:
        images: rows of ``score_images`` for one backbone, pattern and stimulus.
        seed: of the resampling.

    Returns:
        Its ends; NaN where there is a single photograph.
    """
    means = images.fillna({"spc": 0}).pivot_table(index="photograph", columns="seed", values="spc")
    if len(means) < 2:
        return np.nan, np.nan
    values = means.to_numpy()
    if values.shape[1] == 1:
        values = values.repeat(2, axis=1)  # scipy draws from two or more
    result = bootstrap(
        tuple(np.arange(size) for size in values.shape),
        lambda rows, columns: values[np.ix_(rows, columns)].mean(),
        vectorized=False,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return result.confidence_interval.low, result.confidence_interval.high


def table1(
    scores: pd.DataFrame,
    images: pd.DataFrame,
    published: pd.DataFrame,
    architectures: dict[str, str],
) -> pd.DataFrame:
    """Mean and sd over seeds of each cell, beside the published number.

    Args:
        scores: the result table, one row per cell and seed.
        images: the scores of single images that it was made from.
        published: the published numbers; see docs/papers/published.csv.
        architectures: of each backbone label.

    Returns:
        A row per pattern, backbone and stimulus. ``selectivity`` is the SPC of the pattern minus
        that of the control pattern. ``published_mae_rescaled`` is the published MAE on the scale
        of our masks: half of it for stripes, whose target spanned [-1, 1].
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
    table["arch"] = table.backbone.map(architectures)
    patterns = {pattern: rank for rank, pattern in enumerate(table.pattern.unique())}
    table = table.sort_values("pattern", key=lambda column: column.map(patterns), kind="stable")
    return _beside_published(table, published)


def table1_markdown(table: pd.DataFrame) -> str:
    """The table as a reader wants it: photographs in full, the other stimuli by their SPC.

    The paper's MAE of stripes is halved, see ``table1``.
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
            "floor": photos.mae_floor.map(number),
            "paper's MAE": photos.published_mae_rescaled.map(number),
            "selectivity": photos.selectivity.map(number),
        }
    )
    for stimulus in table.stimulus.unique():
        if stimulus != "photos":
            spc = table[table.stimulus == stimulus].set_index(["pattern", "backbone"]).spc
            shown[stimulus] = spc.map(number)
    return shown.reset_index().to_markdown(index=False, disable_numparse=True)


def _beside_published(table: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Trained networks meet the published row of their architecture and padding."""
    same_readout = published.query(
        "table in ['Table 1', 'Table 4'] and blocks == 'all' and kernel_size == 3 and layers == 1"
        " and readout_padding == 0"
    )
    theirs = same_readout.drop_duplicates(["arch", "padding", "pattern", "stimulus"]).rename(
        columns={"spc": "published_spc", "mae": "published_mae", "source": "published_source"}
    )
    theirs["published_table"] = theirs.paper + " " + theirs.table
    theirs["published_mae_rescaled"] = theirs.published_mae * theirs.mae_scale
    columns = ["published_spc", "published_mae", "published_mae_rescaled", "published_table"]
    joined = table.merge(
        theirs[["arch", "padding", "pattern", "stimulus", *columns, "published_source"]],
        on=["arch", "padding", "pattern", "stimulus"],
        how="left",
    )
    joined.loc[joined.weights == "untrained", [*columns, "published_source"]] = np.nan
    return joined


def _tuples(table: pd.DataFrame, keys: list[str]) -> list[tuple]:
    return list(table[keys].itertuples(index=False, name=None))
