"""GAPNet against PermuteNet (Islam et al., ICCV 2021, experiment 1): our numbers beside theirs."""

import pandas as pd

from posinfo.measures.published import beside_published, published_rows
from posinfo.measures.reporting import number, split_note, with_sd

RESULTS = ["seed", "accuracy", "floor", "n"]  # of scores; all other columns are settings
JOINED = ["network", "permutation", "padding", "task", "grid"]
HEADS = ["cell", "network", "permutation", "permuted_before"]  # what a GAPNet is compared with
THEIRS = {
    "dataset": "cifar10", "classes": 10, "arch": "canvas_resnet18", "width": 64,
    "location_size": 32, "epochs": 20, "batch_size": 48, "optimiser": "adam", "lr": 1e-3,
    "betas": "0.5+0.999", "weight_decay": 0, "schedule": "constant", "mirrored": True,
}  # fmt: skip
EPOCHS = {
    "best": "the epoch is chosen on validation images", "last": "the last epoch is kept",
}  # fmt: skip
NETWORKS = {"gapnet": "GAPNet", "permutenet": "PermuteNet"}
TASKS = {"location": "Loc", "image": "Image"}


def permutenet_table(scores: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Mean and sd over seeds of each cell, beside what the paper reports.

    Args:
        scores: one row per cell and seed: ``accuracy`` and ``floor`` (the accuracy of chance) in
            [0, 1], ``n`` canvases, ``seed``; every other column is a setting, such as the
            ``split`` that is measured.
        published: the published numbers; see published.csv.

    Returns:
        A row per cell: its settings, ``accuracy, accuracy_sd, floor, survival, n_seeds, n,
        published, differs``. ``survival`` is the share of a GAPNet's accuracy above the floor that
        is left, where the table holds the GAPNet of the same settings. ``published`` is the text
        of each number that is known of the cell, with its source; theirs are of test images, and
        stand beside no others.
    """
    # a setting that a cell lacks (the width of a torchvision network) is a key like any other
    settings = _settings(scores)
    cells = scores.groupby(settings, sort=False, dropna=False)
    table = cells.agg(
        accuracy=("accuracy", "mean"),
        accuracy_sd=("accuracy", "std"),
        floor=("floor", "first"),
        n_seeds=("accuracy", "size"),
        n=("n", "sum"),
    ).reset_index()
    table.insert(len(settings) + 3, "survival", _survival(table, settings))
    others = table.permuted_before.notna() | table.arch.ne("canvas_resnet18")
    ours_alone, theirs = others | table.split.ne("test"), _published(published)
    table = beside_published(table, theirs, JOINED, {"numbers": "published"}, ours_alone)
    table["published"] = table.published.fillna("")
    table["differs"] = [_differences(row) for row in table.to_dict("records")]
    return table


def permutenet_markdown(table: pd.DataFrame) -> str:
    """The paper's table for reading: a row per network, a column per task and grid."""
    rows = [*["network", "permutation"], *_varying(table)]
    lines: dict[tuple, dict[str, str]] = {}
    for cell in table.to_dict("records"):
        key = tuple("" if pd.isna(cell[name]) else str(cell[name]) for name in rows)
        line = lines.setdefault(key, dict(zip(rows, key, strict=True)))
        line["network"] = NETWORKS[cell["network"]]
        column = f"{TASKS[cell['task']]} {cell['grid']}x{cell['grid']}"
        line[column] = with_sd(cell["accuracy"], cell["accuracy_sd"])
        line[f"{column} paper"] = cell["published"]
        line[f"{column} floor"] = number(cell["floor"])
    frame = pd.DataFrame(lines.values()).fillna("")
    notes = sorted({note for notes in table.differs for note in notes.split("; ") if note})
    listed = "\n".join(f"- {note}" for note in notes)
    ending = f"\n\nWhere the paper's numbers cannot be compared as they stand:\n\n{listed}"
    text = frame.to_markdown(index=False, disable_numparse=True) + split_note(table)
    return f"{text}{ending if notes else ''}\n"


def _settings(table: pd.DataFrame) -> list[str]:
    columns = [*RESULTS, "accuracy_sd", "survival", "n_seeds", "published", "differs"]
    return [name for name in table if name not in columns]


def _varying(table: pd.DataFrame) -> list[str]:
    """Settings that tell the cells apart; the name of the cell, where nothing else does."""
    known = ("cell", "network", "permutation", "task", "grid")
    others = [name for name in _settings(table) if name not in known]
    varying = [name for name in others if len(table[[name]].drop_duplicates()) > 1]
    keys = ["network", "permutation", *varying, "task", "grid"]
    return varying if len(table[keys].drop_duplicates()) == len(table) else ["cell", *varying]


def _survival(table: pd.DataFrame, settings: list[str]) -> pd.Series:
    same = [name for name in settings if name not in HEADS]
    above = (table.accuracy - table.floor).rename("above")
    plain = (table.network == "gapnet") & (table.permutation == "none")
    full = table.assign(above=above).loc[plain, [*same, "above"]]
    reference = table[same].merge(full, on=same, how="left").above
    return (above / reference).where(table.permutation != "none")


def _published(published: pd.DataFrame) -> pd.DataFrame:
    """A row per place in the paper's table; ``numbers`` is the text of all that it prints."""
    rows = published_rows(published, "islam2021", ["Experiment 1"])
    numbers = [f"{x:.3f} ({source})" for x, source in zip(rows.accuracy, rows.source, strict=True)]
    places = rows.assign(numbers=numbers).groupby(JOINED, sort=False)
    return places.numbers.agg(" or ".join).reset_index()


def _differences(row: dict) -> str:
    if not row["published"]:
        return ""
    notes = [
        f"{name.replace('_', ' ')} {row[name]}, theirs {theirs}"
        for name, theirs in THEIRS.items()
        if pd.isna(row[name]) or row[name] != theirs
    ]
    if row["canvas"] != "released":
        notes.append(
            f"canvas {row['canvas']}, theirs pasted after normalising: the mean colour of the "
            "data, though called black"
        )
    notes.append(
        f"{EPOCHS[row['keep']]} and every test image stands at every location once, "
        "theirs is chosen on the test images, at locations drawn anew for each pass"
    )
    return "; ".join(notes)
