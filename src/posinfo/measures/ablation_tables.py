"""Tables 1 to 4 of Islam et al. (ICLR 2020) from cells of any kind."""

import pandas as pd

from posinfo.measures.islam2020 import SETTINGS, differences_markdown
from posinfo.measures.reporting import (
    number,
    over_seeds,
    split_note,
    stuck_note,
    with_sd,
    with_stuck,
)

SPOKEN = {"horizontal": "H", "vertical": "V", "gaussian": "G",
          "horizontal_stripes": "HS", "vertical_stripes": "VS"}  # fmt: skip


def ablation_tables(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean and sd over seeds of each cell.

    Args:
        scores: one row per table, cell, pattern, stimulus and seed, columns ``table, cell,
            SETTINGS, pattern, stimulus, seed, spc, mae, floor, skill, n, n_constant,
            stuck``.

    Returns:
        A row per table, cell, pattern and stimulus. ``n_seeds`` counts the readouts' and the
        backbones' seeds together.
    """
    return over_seeds(scores, ["table", "cell", *SETTINGS, "pattern", "stimulus"])


def tables_markdown(table: pd.DataFrame) -> str:
    """Each table for reading: photographs, one row per cell, SPC and MAE by pattern.

    Args:
        table: that of ``ablation_tables`` with the columns of ``beside_paper``.
    """
    sections = []
    photos = table.query("stimulus == 'photos'")
    for name in sorted(table.table.unique()):
        rows = photos.query("table == @here", local_dict={"here": name})
        counts = rows.pattern.value_counts().to_dict()
        common = [p for p, count in counts.items() if count == max(counts.values())]  # of all cells
        rows = rows.query("pattern in @shared", local_dict={"shared": common})
        shown = [s for s in SETTINGS if len(set(rows[s])) > 1 or s == "backbone"]
        if len(rows[[*shown, "cell"]].drop_duplicates()) > len(rows[shown].drop_duplicates()):
            shown.insert(0, "cell")  # cells that differ in what has no column, a learning rate say
        lines: dict[tuple, dict[str, str]] = {}
        for row in rows.to_dict("records"):
            line = lines.setdefault(tuple(row[s] for s in shown), {s: row[s] for s in shown})
            letter = SPOKEN.get(row["pattern"], row["pattern"])
            spc = with_sd(row["spc"], row["spc_sd"])
            line[f"{letter} SPC"] = with_stuck(spc, row["n_stuck"], row["n_seeds"])
            line[f"{letter} paper"] = number(row["published_spc"])
            line[f"{letter} MAE"] = number(row["mae"])
        frame = pd.DataFrame(lines.values()).fillna("")
        frame = frame.drop(columns=[c for c in frame if c.endswith("paper") and not any(frame[c])])
        sections.append(f"Table {name}\n\n{frame.to_markdown(index=False, disable_numparse=True)}")
    notes = stuck_note(photos) + split_note(photos) + differences_markdown(table)
    return "\n\n".join(sections) + notes
