"""Tables 1 to 4 of Islam et al. (ICLR 2020) from cells of any kind, their numbers beside ours."""

import pandas as pd

from posinfo.measures.published import beside_published, published_rows
from posinfo.measures.reporting import number, over_seeds, with_sd

SETTINGS = [
    "backbone", "weights", "padding", "blocks", "kernel_size", "layers", "hidden_width",
    "readout_padding", "head", "normalisation",
]  # fmt: skip
JOINED = [
    "table", "arch", "padding", "blocks", "kernel_size", "layers", "readout_padding", "pattern",
    "stimulus",
]  # fmt: skip
TABLES = ["Table 1", "Table 2a", "Table 2b", "Table 3", "Table 4"]
SPOKEN = {"horizontal": "H", "vertical": "V", "gaussian": "G",
          "horizontal_stripes": "HS", "vertical_stripes": "VS"}  # fmt: skip


def ablation_tables(
    scores: pd.DataFrame,
    published: pd.DataFrame,
    architectures: dict[str, str],
    *,
    signed: bool = False,
) -> pd.DataFrame:
    """Mean and sd over seeds of each cell, beside the published number and what differs.

    Args:
        scores: one row per table, cell, pattern, stimulus and seed, columns ``table, cell,
            SETTINGS, pattern, stimulus, seed, spc, mae, floor, skill, n, n_constant``.
        published: the published numbers; see docs/papers/published.csv.
        architectures: architecture by label of the backbone, as the published numbers name it.
        signed: whether our stripes span [-1, 1], as the published ones do.

    Returns:
        A row per table, cell, pattern and stimulus. ``n_seeds`` counts the readouts' and the
        backbones' seeds together. ``differs`` says why ours and theirs cannot be compared as they
        stand; published numbers stand only beside trained networks.
    """
    keys = ["table", "cell", *SETTINGS, "pattern", "stimulus"]
    table = over_seeds(scores, keys)
    table["arch"] = table.backbone.map(architectures)
    joined = beside_published(
        table,
        _published(published, signed),
        JOINED,
        {
            "spc": "published_spc", "mae": "published_mae", "rescaled": "published_mae_rescaled",
            "source": "published_source", "mae_scale": "mae_scale", "note": "note",
        },
        alone=table.weights.isin(["untrained", "as-built"]) | (table["head"] == "ridge"),
    )  # fmt: skip
    known = joined.published_spc.notna()
    joined["differs"] = [
        _differences(row, signed) if has else ""
        for has, row in zip(known, joined.to_dict("records"), strict=True)
    ]
    return joined.drop(columns=["mae_scale", "note"])


def tables_markdown(table: pd.DataFrame) -> str:
    """Each table for reading: photographs, one row per cell, SPC and MAE by pattern."""
    sections = []
    for name in sorted(table.table.unique()):
        photos = table.query("stimulus == 'photos'")
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
            line[f"{letter} SPC"] = with_sd(row["spc"], row["spc_sd"])
            line[f"{letter} paper"] = number(row["published_spc"])
            line[f"{letter} MAE"] = number(row["mae"])
        frame = pd.DataFrame(lines.values()).fillna("")
        frame = frame.drop(columns=[c for c in frame if c.endswith("paper") and not any(frame[c])])
        sections.append(f"Table {name}\n\n{frame.to_markdown(index=False, disable_numparse=True)}")
    notes = sorted({note for notes in table.differs for note in notes.split("; ") if note})
    listed = "\n".join(f"- {note}" for note in notes)
    ending = f"Where the paper's numbers cannot be compared as they stand:\n\n{listed}\n"
    return "\n\n".join([*sections, ending])


def _published(published: pd.DataFrame, signed: bool) -> pd.DataFrame:
    """The paper's tables by number; ``rescaled`` is their MAE on our scale."""
    theirs = published_rows(published, "islam2020", TABLES)
    return theirs.assign(
        table=theirs.table.str.removeprefix("Table "),
        rescaled=theirs.mae * (1 if signed else theirs.mae_scale),
    )


def _differences(row: dict, signed: bool) -> str:
    notes = ["photographs and length of training are the paper's in --env=paper alone"]
    if row["weights"] not in ("imagenet", "none"):
        notes.append(f"weights {row['weights']}, theirs imagenet")
    if row["layers"] > 1 and row["hidden_width"] != "same":
        notes.append(f"{row['hidden_width']} hidden channels, theirs as many as the features")
    if row["mae_scale"] != 1 and not signed:
        notes.append("stripes: their target spans [-1, 1], so their MAE is halved")
    if row["arch"].startswith("resnet"):
        notes.append("four blocks of a ResNet (released code), the paper's text says five")
    if row["head"] != "code":
        notes.append("head and training are not those of the released code")
    if row["pattern"] == "gaussian":
        notes.append("G: their floor is .186, that of the released mask .197: the masks differ")
    if row["note"] and not pd.isna(row["note"]):
        notes.append(str(row["note"]))
    return "; ".join(notes)
