import pandas as pd
import pytest
import torch

from posinfo.experiment import Result
from posinfo.experiments import CONSISTENCY
from posinfo.experiments.consistency.report import report
from posinfo.experiments.consistency.settings import ConsistencySettings
from tests.experiments.conftest import base, changed

BASE = changed(base("photos", "consistency"), consistency__only=["as_built", "circular"])
PHOTOGRAPHS = ["china", "coffee", "rocket"]


def classified(*consistencies):
    rows = pd.DataFrame(
        {
            "photograph": PHOTOGRAPHS, "consistency_exact": consistencies,
            "unanimous": [0.0, 0.5, 1.0], "classes": [2, 3, 1], "n": 3,
        }
    )  # fmt: skip
    tensors = {"agreement": torch.eye(2), "answers": torch.zeros(9, 2, 2, dtype=torch.long)}
    return Result(tensors=tensors, rows=rows)


@pytest.fixture(scope="module")
def made():
    results = {"classify": {"as_built": classified(0.6, 0.7, 0.8),
                            "circular": classified(0.72, 0.8, 0.91)}}  # fmt: skip
    return report(ConsistencySettings.model_validate(BASE), results, pd.DataFrame())


def test_scores_have_a_row_per_classifier_and_photograph(made):
    scores = made.tables["scores"]
    assert list(scores.columns) == [
        "cell", "arch", "weights", "padding", "photograph", "consistency_exact", "unanimous",
        "classes", "n",
    ]  # fmt: skip
    assert scores.padding.tolist() == ["as_built"] * 3 + ["circular"] * 3
    assert scores.photograph.tolist() == PHOTOGRAPHS * 2


def test_classifiers_are_compared_with_the_first_over_photographs(made):
    comparisons = made.tables["comparisons"].set_index("measure")
    row = comparisons.loc["consistency_exact"]
    assert (row.cell, row.against, row.n_photographs) == ("circular", "as_built", 3)
    assert row.difference == pytest.approx(0.11) and row.separable
    assert not comparisons.loc["unanimous"].separable


def test_text_says_what_was_shown(made):
    lines = made.texts["table"].splitlines()
    assert lines[0] == "Windows of 224 px at offsets [0, 5, 10, 15, 20, 25, 30] on each axis:"
    cells = [cell.strip() for cell in lines[4].split("|")[1:-1]]
    assert cells == ["as_built", "as_built", "0.700", "0.452 to 0.948", "0.500", "2.0", "9"]
    assert (
        "| circular - as_built | 3             | **+0.110 (+0.085 to +0.135)**"
        in made.texts["table"]
    )


def test_report_has_what_the_experiment_names(made):
    assert set(made.tables) == set(CONSISTENCY.tables)
    assert set(made.texts) == set(CONSISTENCY.texts)
    assert set(made.figures) == set(CONSISTENCY.figures)
