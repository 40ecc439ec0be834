import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from posinfo.measures.paired_comparisons import comparisons_markdown, paired_comparisons

WITHIN = ["dataset", "max_shift"]


def scores(values, dataset="x"):
    """Top-1 by cell and seed, in this order; consistency is half of it."""
    rows = [
        {"dataset": dataset, "max_shift": 8, "cell": cell, "seed": seed, "top1": top1,
         "consistency": top1 / 2}
        for cell, by_seed in values.items() for seed, top1 in by_seed.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


# the same differences of .1, .2, .3 in any order of the seeds, under a spread between seeds of .5
PAIRED = {"a": {0: 0.1, 1: 0.6, 2: 0.3}, "b": {2: 0.6, 0: 0.2, 1: 0.8}}


def test_seeds_are_paired_by_their_number():
    (row,) = paired_comparisons(scores(PAIRED), WITHIN, ["top1"]).to_dict("records")
    assert (row["cell"], row["against"], row["n_seeds"]) == ("b", "a", 3)
    assert row["difference"] == pytest.approx(0.2)
    expected = ttest_rel([0.2, 0.8, 0.6], [0.1, 0.6, 0.3]).confidence_interval(0.95)
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(
    ("differences", "separable"),
    [
        ([0.1, 0.2, 0.3], False), ([0.18, 0.2, 0.22], True), ([-0.18, -0.2, -0.22], True),
        ([0.0, 0.0, 0.0], False), ([0.0] * 8, False), ([0.1] * 2, False), ([-0.1] * 5, False),
        ([0.1] * 6, True), ([-0.1] * 6, True),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Precision loss")
def test_cells_are_separable_where_the_interval_excludes_0(differences, separable):
    before = 0.3 + 0.1 * np.arange(len(differences))  # whose differences are equal but for rounding
    values = {"a": dict(enumerate(before)), "b": dict(enumerate(np.add(before, differences)))}
    (row,) = paired_comparisons(scores(values), WITHIN, ["top1"]).to_dict("records")
    assert row["separable"] is separable


def test_only_common_seeds_with_a_number_count():
    values = {
        "a": {0: 0.1, 1: 0.6, 2: 0.3}, "b": {0: 0.2, 1: 0.8, 7: 0.9}, "c": {0: 0.5},
        "d": {0: 0.4, 1: np.nan, 2: 0.7},
    }  # fmt: skip
    table = paired_comparisons(scores(values), WITHIN, ["top1"])
    pairs = table[["cell", "against", "n_seeds"]].itertuples(index=False, name=None)
    assert list(pairs) == [("b", "a", 2), ("d", "a", 2)]
    assert table.difference.tolist() == pytest.approx([0.15, 0.35])


def test_rows_of_one_place_and_measure_are_compared():
    both = pd.concat([scores(PAIRED), scores(PAIRED | {"c": {0: 0.3, 1: 0.3}}, "y")])
    table = paired_comparisons(both, WITHIN, ["top1", "consistency"])
    found = table[["dataset", "measure", "cell", "against"]].itertuples(index=False, name=None)
    assert list(found) == [
        ("x", "top1", "b", "a"), ("x", "consistency", "b", "a"),
        *(("y", m, *pair) for m in ("top1", "consistency") for pair in ("ba", "ca", "cb")),
    ]  # fmt: skip
    assert table.difference[:2].tolist() == pytest.approx([0.2, 0.1])


def test_markdown_is_a_table_per_place_and_shows_what_is_separable():
    values = PAIRED | {"c": {0: 0.11, 1: 0.611, 2: 0.309}}
    both = pd.concat([scores(values), scores(PAIRED, "y")])
    names = {"top1": "top-1", "consistency": "consistency"}
    text = comparisons_markdown(paired_comparisons(both, WITHIN, list(names)), WITHIN, names)
    assert text.splitlines()[:6] == [
        "Paired differences over seeds: mean (95 % interval, each of 8 by itself). "
        "**Separable**: 0 lies outside, and where the interval has no width there are six seeds "
        "or more; all others are not separable.",
        "",
        "x, 8:",
        "",
        "| pair   | seeds   | top-1                         | consistency                   |",
        "|:-------|:--------|:------------------------------|:------------------------------|",
    ]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert lines[6] == [
        "b - a", "3", "+0.200 (-0.048 to +0.448)", "+0.100 (-0.024 to +0.224)",
    ]  # fmt: skip
    assert lines[7][:3] == ["c - a", "3", "**+0.010 (+0.008 to +0.012)**"]
    assert text.count("\ny, 8:\n") == 1


def test_single_seeds_are_not_compared():
    table = paired_comparisons(scores({"a": {0: 0.1}, "b": {0: 0.2}}), WITHIN, ["top1"])
    assert table.empty and "separable" in table
    said = comparisons_markdown(table, WITHIN, {"top1": "top-1"})
    assert said == "No two rows have two seeds in common: nothing is compared.\n"


def test_chosen_pairs_over_photographs_in_one_place():
    renamed = scores(PAIRED | {"c": {0: 0.3, 1: 0.3}}).rename(columns={"seed": "photograph"})
    table = paired_comparisons(renamed, [], ["top1"], "photograph", [("a", "c"), ("a", "b")])
    assert table[["cell", "against", "n_photographs"]].values.tolist() == [
        ["a", "c", 2], ["a", "b", 3],
    ]  # fmt: skip
    assert table.difference.tolist() == pytest.approx([0.05, -0.2])
    text = comparisons_markdown(table, [], {"top1": "top-1"}, "photograph")
    assert text.startswith("Paired differences over photographs: mean (95 %")
    assert "| pair   | photographs   | top-1" in text
