import numpy as np
import pandas as pd

from posinfo.measures.border_tables import (
    beside_paper,
    knees,
    pixels_over_seeds,
    ring_gaps,
    summary,
    with_means,
)
from posinfo.measures.published import published_rows
from tests.conftest import PROJECT

PUBLISHED = pd.read_csv(
    PROJECT / "src/posinfo/measures/published.csv", keep_default_na=False, na_values=[""]
)


def test_both_published_figures_4_stand_under_their_own_names():
    paper, repository = (
        published_rows(PUBLISHED, "kayhan2020", [f"Figure 4 ({name})"]).set_index(
            ["network", "trained", "weights", "border"]
        )
        for name in ("paper", "repository")
    )
    assert len(paper) == len(repository) == 9 * 7
    place = ("resnet18", "frozen", "untrained", 64)
    assert (paper.accuracy[place], repository.accuracy[place]) == (0.5, 0.806)


def test_table_1_stands_beside_the_paddings_of_ours():
    scores = pd.DataFrame(
        {
            "padding": ["full", "full", "reflect"], "seed": [0, 1, 0], "similar": [0.9, 1, 0.5],
            "dissimilar": [0.9, 0.8, 0.1], "floor": 0.5, "n": 10,
        }
    )  # fmt: skip
    table = summary(scores, ["padding"], ["similar", "dissimilar"])
    table = beside_paper(table, PUBLISHED, "Table 1", ["padding"], {"similar": "paper"})
    assert table.padding.tolist() == ["full", "reflect"] and table.n_seeds.tolist() == [2, 1]
    np.testing.assert_allclose(table.similar, [0.95, 0.5])
    np.testing.assert_allclose(table.paper, [0.897, np.nan])
    shown = with_means(table, {"similar": "similar"}, {"padding": "padding", "paper": "paper"})
    assert shown.similar.tolist() == ["0.950 ± 0.071", "0.500"]
    assert shown.paper.tolist() == ["0.897", ""]


def test_knees_stand_beside_field_and_twice_the_error_distance():
    borders = [0, 16, 32]
    scores = pd.concat(
        pd.DataFrame({"row": "a", "seed": seed, "border": borders[::-1], "accuracy": values[::-1]})
        for seed, values in ((0, [1, 1, 0.5]), (1, [1, 1, 1]))
    )
    reach = pd.DataFrame(
        {
            "row": "a", "seed": [0, 0, 0, 1], "photograph": ["p", "q", "r", "p"], "field": 40.0,
            "error_distance": [8.0, 24.0, 12.0, np.inf],
        }
    )  # fmt: skip
    table = knees(scores, reach).set_index("seed")
    assert table.knee.tolist() == [24, np.inf] and table.field.tolist() == [40, 40]
    assert table.error_distance.tolist() == [12, np.inf]
    assert list(knees(scores.head(0), reach.head(0)).columns) == [
        "row", "seed", "knee", "field", "error_distance", "error_reach", "n_photographs",
    ]  # fmt: skip
    assert table.error_reach.tolist() == [24, np.inf] and table.n_photographs.tolist() == [3, 1]


def test_distances_are_said_with_an_interval_or_as_a_bound():
    said = [
        pixels_over_seeds(pd.Series(values))
        for values in ([24.0, 26.0, 28.0], [24.0, np.inf], [np.inf], [np.nan, 3.0], [7.0])
    ]
    assert said == [
        "26 (21 to 31)", "24 to 24 in 1, farther than measured in 1 of 2",
        "farther than measured in 1 of 1", "3 to 3 in 1, none in 1 of 2", "7",
    ]  # fmt: skip


def test_gap_is_of_the_outermost_ring_and_the_innermost():
    rings = pd.DataFrame(
        {
            "padding": "zero", "cell": "c", "seed": [0, 0, 0, 1, 1], "ring": [2, 1, 3, 1, 2],
            "accuracy": [0.5, 0.9, 0.3, 0.2, 0.4],
        }
    )  # fmt: skip
    gaps = ring_gaps(rings)
    assert list(gaps.columns) == ["padding", "cell", "seed", "gap"]
    np.testing.assert_allclose(gaps.gap, [0.6, -0.2])
    assert list(ring_gaps(rings.head(0)).columns) == list(gaps.columns)
