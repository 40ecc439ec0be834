"""`kedro run --pipeline=consistency` from end to end, on tiny settings."""

import pandas as pd
import pytest

from posinfo.experiments import CONSISTENCY
from tests.integration.conftest import Copy, assert_no_warning_is_ours, assert_pictures, to_compute

PIPELINE = "--pipeline=consistency"
REPORTS = "08_reporting/consistency"


@pytest.fixture(scope="module")
def asked(finished) -> Copy:
    return finished("consistency")


def test_scores_have_a_row_per_classifier_and_photograph(asked):
    scores = pd.read_csv(asked.data / REPORTS / "scores.csv")
    assert scores.groupby("cell", sort=False).size().to_dict() == {"as_built": 11, "reflect": 11}
    assert scores.consistency_exact.between(1 / 9, 1).all()
    assert set(scores.weights) == {"efficientnet-lite0"}
    comparisons = pd.read_csv(asked.data / REPORTS / "comparisons.csv")
    assert comparisons.measure.tolist() == ["consistency_exact", "unanimous"]
    assert set(comparisons.n_photographs) == {11}


def test_children_are_classifiers_with_their_measures(asked):
    children = asked.children("consistency")
    assert set(children) == {"as_built", "reflect"}
    data = children["reflect"].data
    assert data.params["padding"] == "reflect"
    assert 1 / 9 <= data.metrics["consistency_exact_coffee"] <= 1


def test_pictures_and_what_a_run_says(asked):
    assert_pictures(asked, CONSISTENCY, "agreement")
    said = asked.result.stdout
    assert to_compute(said, "consistency") == "images 1 of 1, classify 2 of 2"
    assert "| reflect - as_built | 11" in said
    assert_no_warning_is_ours(said + asked.result.stderr)
