import numpy as np
import pandas as pd
import pytest
import torch

from posinfo.experiment import Result
from posinfo.experiments.posenet import report as module
from posinfo.experiments.posenet.report import all_rows, first_image, maps_of, report
from posinfo.experiments.posenet.settings import PosenetSettings
from posinfo.measures.figures import predicted_maps_figure
from tests.conftest import PROJECT
from tests.experiments.conftest import base, changed

PATTERNS = ["horizontal", "gaussian"]
PUBLISHED = pd.read_csv(
    PROJECT / "docs/papers/published.csv", keep_default_na=False, na_values=[""]
)
SETTINGS = PosenetSettings.model_validate(
    changed(
        base("photos", "posenet"),
        posenet__patterns=PATTERNS, posenet__seeds=[4, 5], posenet__only=["posenet", "vgg16"],
    )
)  # fmt: skip


@pytest.fixture
def results(small):
    photographs = {
        name: Result(
            arrays={"pixels": np.random.default_rng(0).integers(0, 256, (9, 3, 8, 8), np.uint8)}
        )
        for name in ("train", "test")
    }
    evaluated = small().evaluate()
    return {"images": photographs, "evaluate": {"posenet": evaluated, "vgg16": evaluated}}


def test_scores_are_the_rows_of_all_backbones(results):
    made = report(SETTINGS, results, PUBLISHED)
    scores = made.tables["scores"]
    assert list(scores.columns) == [
        "backbone", "weights", "padding", "pattern", "stimulus", "seed", "spc", "mae", "floor",
        "skill", "n", "n_constant",
    ]  # fmt: skip
    assert scores.groupby("backbone", sort=False)[["weights", "padding"]].first().to_dict(
        "index"
    ) == {
        "posenet": {"weights": "none", "padding": "none"},
        "vgg16": {"weights": "hed-bsds500", "padding": "zero"},
    }
    rows = results["evaluate"]["vgg16"].table
    pd.testing.assert_frame_equal(
        scores[scores.backbone == "vgg16"][list(rows.columns)].reset_index(drop=True), rows
    )
    assert made.tables["table1"].backbone.unique().tolist() == ["posenet", "vgg16"]
    assert set(made.figures) == {"masks", "photos", "predicted_maps"}
    assert "horizontal" in made.texts["table1"]


def test_figure_pairs_truth_and_prediction_whatever_the_order_in_a_file(monkeypatch, results):
    """A safetensors file returns its tensors in another order than they were given."""
    shown = {}

    def capture(image, masks, predictions):
        shown.update(image=image, masks=masks, predictions=predictions)
        return predicted_maps_figure(image, masks, predictions)

    monkeypatch.setattr(module, "predicted_maps_figure", capture)
    evaluated = results["evaluate"]["vgg16"]
    own = {
        f"{kind}.{p}": torch.full((24, 24), i / 4)
        for i, p in enumerate(PATTERNS)
        for kind in ("truth", "map")
    }
    reordered = dict(reversed((evaluated.tensors | own).items()))
    other = Result(tensors=reordered, rows=evaluated.rows, facts=evaluated.facts)
    cells = {"posenet": other, "vgg16": other}
    report(SETTINGS, {**results, "evaluate": cells}, PUBLISHED)
    assert list(shown["masks"]) == PATTERNS
    for pattern, mask in shown["masks"].items():
        for predicted in shown["predictions"].values():
            torch.testing.assert_close(mask, predicted[pattern])
    np.testing.assert_array_equal(shown["image"], evaluated.tensors["image"].numpy())


def test_contact_sheet_has_the_first_photographs_of_both_sets(monkeypatch, results):
    sheets = []
    monkeypatch.setattr(module, "images_figure", sheets.append)
    report(SETTINGS, results, PUBLISHED)
    (sheet,) = sheets
    assert list(sheet) == ["train", "test"]
    np.testing.assert_array_equal(sheet["test"], results["images"]["test"].arrays["pixels"][:8])


def test_rows_keep_their_cell_and_maps_their_pattern(results):
    rows = all_rows(results["evaluate"])
    assert rows.columns[0] == "cell" and rows.cell.value_counts().to_dict() == {
        "posenet": 12, "vgg16": 12,
    }  # fmt: skip
    evaluated = results["evaluate"]["vgg16"]
    assert list(maps_of(evaluated, "error", ("gaussian", "vertical"))) == ["gaussian"]
    assert first_image(results["evaluate"]).shape == (3, 24, 24)
