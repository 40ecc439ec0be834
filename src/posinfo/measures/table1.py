"""Table 1 of Islam et al. (ICLR 2020), with what it leaves out: spread, floor and controls.

Intervals are over photographs, which are independent; their crops are not. They are of the readouts
at hand, whose own spread is the sd over seeds.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from posinfo.measures.intervals import mean_interval
from posinfo.measures.islam2020 import SETTINGS, differences_markdown
from posinfo.measures.paired_comparisons import paired_comparisons
from posinfo.measures.reporting import (
    number,
    over_seeds,
    split_note,
    stuck_note,
    with_sd,
    with_stuck,
)
from posinfo.stimuli.patterns import CONTROLS

CELL = ["pattern", *SETTINGS, "stimulus"]
KEYS = ["pattern", "backbone", "stimulus"]


def table1(scores: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Mean and sd over seeds of each cell, its interval over photographs, and its selectivity.

    Args:
        scores: one row per cell and seed, columns ``CELL, seed, spc, mae, floor, skill, n,
            n_constant, stuck``.
        images: what ``image_rows`` returns, with a column ``backbone``; ``scores`` are its means.

    Returns:
        A row per pattern, backbone and stimulus. ``spc_low`` and ``spc_high`` are the 95 % interval
        of the SPC over ``n_photographs``. ``selectivity``, ``selectivity_6`` and ``selectivity_3``
        are the SPC of the pattern minus that of the control of the same name.
    """
    table = over_seeds(scores, CELL)
    photographs = _of_photographs(images).groupby(KEYS)
    values = [photographs.get_group(cell).to_numpy() for cell in _tuples(table, KEYS)]
    table[["spc_low", "spc_high"]] = [mean_interval(each) for each in values]
    table["n_photographs"] = [len(each) for each in values]
    for name in CONTROLS:
        control = table[table.pattern == name].set_index(["backbone", "stimulus"]).spc
        cells = _tuples(table, ["backbone", "stimulus"])
        table[_selectivity(name)] = table.spc - [control.get(cell, np.nan) for cell in cells]
    patterns = {pattern: rank for rank, pattern in enumerate(table.pattern.unique())}
    return table.sort_values("pattern", key=lambda column: column.map(patterns), kind="stable")


def padding_comparisons(images: pd.DataFrame, architectures: Mapping[str, str]) -> pd.DataFrame:
    """How much more the first backbone of each architecture reads than the others of it.

    Args:
        images: see ``table1``.
        architectures: by label of the backbone, in the order of the table.

    Returns:
        A row per pattern (``measure``) and pair: see ``paired_comparisons``, over photographs.
    """
    leading: dict[str, str] = {}
    pairs = [(leading.setdefault(arch, label), label) for label, arch in architectures.items()]
    means = _of_photographs(images.query("stimulus == 'photos'")).unstack("pattern").reset_index()
    patterns = [name for name in images.pattern.unique() if name in means]
    return paired_comparisons(
        means.rename(columns={"backbone": "cell"}),
        [],
        patterns,
        "photograph",
        [pair for pair in pairs if pair[0] != pair[1]],
    )


def table1_markdown(table: pd.DataFrame) -> str:
    """The table as a reader wants it: photographs in full, the other stimuli by their SPC.

    Args:
        table: that of ``table1`` with the columns of ``beside_paper``.
    """
    photos = table[table.stimulus == "photos"].set_index(["pattern", "backbone"])
    spc = map(with_sd, photos.spc, photos.spc_sd)
    over = f"95 % over {photos.n_photographs.max()} photographs"
    shown = pd.DataFrame(
        {
            "SPC": list(map(with_stuck, spc, photos.n_stuck, photos.n_seeds)),
            over: [
                "" if np.isnan(low) else f"{low:.2f} to {high:.2f}"
                for low, high in zip(photos.spc_low, photos.spc_high, strict=True)
            ],
            "paper's SPC": photos.published_spc.map(number),
            "MAE": list(map(with_sd, photos.mae, photos.mae_sd)),
            "floor": photos.floor.map(number),
            "paper's MAE": photos.published_mae_rescaled.map(number),
        }
    )
    for name in map(_selectivity, CONTROLS):
        if photos[name].notna().to_numpy().any():
            shown[name] = photos[name].map(number)
    for stimulus in table.stimulus.unique():
        if stimulus != "photos":
            spc = table[table.stimulus == stimulus].set_index(["pattern", "backbone"]).spc
            shown[stimulus] = spc.map(number)
    text = shown.reset_index().to_markdown(index=False, disable_numparse=True)
    return text + stuck_note(photos) + split_note(photos) + differences_markdown(table)


def _selectivity(control: str) -> str:
    return control.replace("control", "selectivity")


def _of_photographs(images: pd.DataFrame) -> pd.Series:
    """SPC of each photograph: the mean over its crops and the readouts' seeds."""
    return images.fillna({"spc": 0}).groupby([*KEYS, "photograph"], sort=False).spc.mean()


def _tuples(table: pd.DataFrame, keys: list[str]) -> list[tuple]:
    return list(table[keys].itertuples(index=False, name=None))
