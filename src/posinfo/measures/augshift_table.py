"""AugShift against its baselines (Islam et al., ICCV 2021, experiment 2), theirs beside ours."""

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from posinfo.measures.published import beside_published, published_rows
from posinfo.measures.reporting import number, with_sd

METRICS = {
    "top1": "top-1", "consistency_exact": "consistency", "consistency_right": "of right images",
    "consistency_sampled": "sampled", "diagonal_accuracy": "diagonal",
    "worst_case_accuracy": "worst case",
}  # fmt: skip
RANGE = ["dataset", "max_shift", "shift_padding"]
TRAINING = ["epochs", "batch_size", "lr"]
SETTINGS = [*RANGE, "split", "cell", "method", "width", "latent_weight", "loss", *TRAINING]
COMPARED = {name: METRICS[name] for name in ("top1", "consistency_exact", "consistency_right")}


def augshift_table(scores: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Mean and sd over seeds of each cell and range of offsets, beside what the paper reports.

    Args:
        scores: one row per cell, seed and range of offsets, columns ``SETTINGS, METRICS, seed,
            floor, n, n_right``: every figure is a share in [0, 1], ``floor`` is the top-1 of
            chance, ``n`` the number of images, ``n_right`` of those that are classified rightly.
        published: the published numbers; see published.csv.

    Returns:
        A row per cell and range: its settings, mean and sd (``_sd``) of every figure, ``floor,
        n_seeds, n, n_right`` (mean over seeds), ``published_top1, published_consistency, source``.
        The paper states neither its range nor its training: its number stands beside each of ours
        that is of test images.
    """
    cells = scores.groupby(SETTINGS, sort=False)
    table = cells.agg(
        **{name: (name, "mean") for name in METRICS},
        **{f"{name}_sd": (name, "std") for name in METRICS},
        floor=("floor", "first"),
        n_seeds=("seed", "size"),
        n=("n", "first"),
        n_right=("n_right", "mean"),
    ).reset_index()
    return beside_published(
        table,
        published_rows(published, "islam2021", ["Experiment 2"]),
        ["dataset", "method"],
        {
            "accuracy": "published_top1", "consistency": "published_consistency",
            "source": "source",
        },
        alone=table.split.ne("test"),
    )  # fmt: skip


def augshift_markdown(table: pd.DataFrame) -> str:
    """A table for reading per data set and range of offsets: a row per method."""
    return "\n".join(_of_one_range(rows) for _, rows in table.groupby(RANGE, sort=False))


def name_of(row: Mapping[Hashable, Any]) -> str:
    """The label of a cell without its data set."""
    return row["cell"].removesuffix(f"-{row['dataset']}")


def _of_one_range(table: pd.DataFrame) -> str:
    lines = []
    for row in table.to_dict("records"):
        line = {"method": name_of(row)}
        line |= {shown: with_sd(row[name], row[f"{name}_sd"]) for name, shown in METRICS.items()}
        line["top-1 paper"] = number(row["published_top1"])
        line["consistency paper"] = number(row["published_consistency"])
        lines.append(line)
    frame = pd.DataFrame(lines)
    frame = frame.drop(columns=[c for c in frame if c.endswith("paper") and not any(frame[c])])
    unknown = "; range and weight of latents of the paper are not known"
    remark = unknown if "consistency paper" in frame else ""
    first = table.iloc[0]
    text = frame.to_markdown(index=False, disable_numparse=True)
    return (
        f"{first.dataset}, n = {first.n} {first.split} images, offsets 0 to {first.max_shift} px "
        f"on each axis, {first.shift_padding}; mean ± sd over seeds{remark}:\n\n{text}\n"
    )
