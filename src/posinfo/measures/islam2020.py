"""The numbers of Islam et al. (ICLR 2020) beside cells of ours, and what differs."""

import pandas as pd

from posinfo.measures.published import beside_published, published_rows

SETTINGS = [
    "backbone", "weights", "padding", "blocks", "kernel_size", "layers", "hidden_width",
    "readout_padding", "head", "normalisation", "split",
]  # fmt: skip
PLACE = [
    "arch", "padding", "blocks", "kernel_size", "layers", "readout_padding", "pattern", "stimulus",
]  # fmt: skip
TABLES = ["Table 1", "Table 2a", "Table 2b", "Table 3", "Table 4"]


def beside_paper(
    table: pd.DataFrame,
    published: pd.DataFrame,
    architectures: dict[str, str],
    *,
    signed: bool,
) -> pd.DataFrame:
    """Cells beside the published number of the same place, and what differs.

    Args:
        table: one row per cell, pattern and stimulus, columns ``SETTINGS, pattern, stimulus``; with
            a column ``table``, numbers of that table alone stand beside it, or else those of the
            first table that prints them.
        published: the published numbers; see published.csv.
        architectures: architecture by label of the backbone, as the published numbers name it.
        signed: whether our stripes span [-1, 1], as the published ones do.

    Returns:
        Columns to the right: ``arch, published_spc, published_mae, published_mae_rescaled,
        published_table, published_source, differs``. ``published_mae_rescaled`` is on the scale of
        our masks: half of the published MAE for stripes on [0, 1]. ``differs`` says why ours and
        theirs cannot be compared as they stand. Untrained networks and the ridge readout, which
        the paper has not, stand beside no number, and neither do numbers of other than test images.
    """
    keys = [name for name in ("table", *PLACE) if name in table or name == "arch"]
    joined = beside_published(
        table.assign(arch=table.backbone.map(architectures)),
        _published(published, signed).drop_duplicates(keys),
        keys,
        {
            "spc": "published_spc", "mae": "published_mae", "rescaled": "published_mae_rescaled",
            "where": "published_table", "source": "published_source", "mae_scale": "mae_scale",
            "note": "note",
        },
        alone=table.weights.isin(["untrained", "as-built"])
        | (table["head"] == "ridge")
        | table.split.ne("test"),
    )  # fmt: skip
    known = joined.published_spc.notna()
    joined["differs"] = [
        _differences(row, signed) if has else ""
        for has, row in zip(known, joined.to_dict("records"), strict=True)
    ]
    return joined.drop(columns=["mae_scale", "note"])


def differences_markdown(table: pd.DataFrame) -> str:
    """What differs anywhere in a table, as a list; empty where nothing is published."""
    notes = sorted({note for notes in table.differs for note in notes.split("; ") if note})
    if not notes:
        return ""
    listed = "\n".join(f"- {note}" for note in notes)
    return f"\n\nWhere the paper's numbers cannot be compared as they stand:\n\n{listed}\n"


def _published(published: pd.DataFrame, signed: bool) -> pd.DataFrame:
    """The paper's tables by number; ``rescaled`` is their MAE on our scale."""
    theirs = published_rows(published, "islam2020", TABLES)
    return theirs.assign(
        table=theirs.table.str.removeprefix("Table "),
        where="islam2020 " + theirs.table,
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
