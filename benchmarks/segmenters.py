"""What segmentation networks know about position, by their padding: the tables of its page.

    kedro run --pipeline=channel_attack
    kedro run --pipeline=posenet --env=segmenters
    python benchmarks/segmenters.py

Rows of ``conf/segmenters`` that differ in their last number are networks of one kind, which differ
in the seed that they were trained from. Kinds are compared over the seeds that both have.
"""

import sys
from pathlib import Path

import pandas as pd

from posinfo.measures.paired_comparisons import comparisons_markdown, paired_comparisons
from posinfo.measures.reporting import with_sd

SCORES = Path(__file__).parents[1] / "data/segmenters/08_reporting/posenet/scores.csv"
PAIRS = [
    ("zero", "reflect"), ("zero", "circular"), ("circular", "circular_shifted"),
    ("zero", "zero_untrained"), ("reflect", "reflect_untrained"),
    ("circular", "circular_untrained"), ("circular_shifted", "circular_untrained"),
]  # fmt: skip
BESIDE_CONTROL = [("horizontal", "control_6"), ("vertical", "control_6")]
WITHOUT_CONTENT = ("black", "white")


def by_kind(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores with ``cell``, a kind of network, and ``network``, its seed."""
    split = scores.backbone.str.rsplit("_", n=1, expand=True)
    return scores.assign(cell=split[0], network=split[1])


def means(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean and sd over the networks of a kind, a column per pattern."""
    photos = scores.query("stimulus == 'photos'")
    spread = photos.groupby(["cell", "pattern"], sort=False).spc.agg(["mean", "std"])
    said = spread.apply(lambda row: with_sd(row["mean"], row["std"]), axis=1)
    counts = photos.groupby("cell", sort=False).network.nunique()
    return said.unstack("pattern").loc[counts.index].assign(networks=counts)


def main() -> None:
    """Print the tables."""
    if not SCORES.is_file():
        sys.exit(f"{SCORES} is missing: run `kedro run --pipeline=posenet --env=segmenters` first")
    scores = by_kind(pd.read_csv(SCORES, keep_default_na=False))
    print(means(scores).to_markdown(), "\n")
    plain = scores[scores.stimulus.isin(WITHOUT_CONTENT)]
    largest = plain.groupby(["cell", "stimulus"], sort=False).spc.agg(["min", "max"])
    print("Images of one colour, Spearman's correlation:\n")
    print(largest.unstack("stimulus").round(3).to_markdown(), "\n")
    photos = scores.query("stimulus == 'photos'")
    compared = paired_comparisons(photos, ["pattern"], ["spc"], over="network", pairs=PAIRS)
    print(comparisons_markdown(compared, ["pattern"], {"spc": "Spearman"}, over="network"))
    patterns = photos.assign(kind=photos.cell, cell=photos.pattern)
    beside = paired_comparisons(patterns, ["kind"], ["spc"], over="network", pairs=BESIDE_CONTROL)
    print(comparisons_markdown(beside, ["kind"], {"spc": "Spearman"}, over="network"))


if __name__ == "__main__":
    main()
