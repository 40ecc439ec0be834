import pandas as pd
import pytest
import torch

from posinfo.experiment import Result
from posinfo.experiments.permutenet import report as module
from posinfo.experiments.permutenet.report import map_of, report
from posinfo.experiments.permutenet.settings import PermutenetSettings
from tests.experiments.conftest import base, changed
from tests.experiments.posenet.test_report import PUBLISHED

SETTINGS = PermutenetSettings.model_validate(
    changed(
        base("permutenet"),
        permutenet__seeds=[5, 2],
        permutenet__cells=[
            {"network": "gapnet", "permutation": "none", "task": "location"},
            {"network": "gapnet", "permutation": "none", "task": "image", "canvas": [255, 0, 0]},
            {"network": "gapnet", "permutation": "none", "task": "location", "grid": 2,
             "arch": "squeezenet1_1", "width": None},
        ],
    )
)  # fmt: skip
LABELS = [
    "gapnet-none-location-3x3",
    "gapnet-none-image-3x3-canvas-255+0+0",
    "gapnet-none-location-2x2-arch-squeezenet1_1-width-None",
]


@pytest.fixture
def results():
    evaluated = {}
    for index, (label, cell) in enumerate(SETTINGS.cells.items()):
        answers = cell.grid**2 if cell.task == "location" else 5
        for seed in (2, 5):
            counts = torch.zeros(cell.grid**2, answers, answers, dtype=torch.long)
            counts[0, 0, seed % 2] = 10 * (index + 1)
            row = {
                "seed": seed,
                "accuracy": seed / 10,
                "floor": 1 / answers,
                "n": int(counts.sum()),
            }
            evaluated[f"{label}-seed{seed}"] = Result(
                tensors={"counts": counts, "shown": torch.full((2, 3, 8, 8), index).byte()},
                rows=pd.DataFrame([row]),
                history={"train_loss": [2.0, 1.0], "validation_accuracy": [0.1, seed / 10]},
            )
    return {"evaluate": evaluated}


def test_scores_have_a_row_per_cell_and_seed(results):
    scores = report(SETTINGS, results, PUBLISHED).tables["scores"]
    assert list(scores.columns) == [
        "dataset", "network", "permutation", "padding", "canvas", "task", "grid", "seed",
        "accuracy", "floor", "split", "n", "cell", "classes", "location_size", "arch", "width",
        "permuted_before", "epochs", "batch_size", "optimiser", "lr", "betas", "momentum",
        "weight_decay", "schedule", "mirrored", "keep",
    ]  # fmt: skip
    assert list(zip(scores.cell, scores.seed, scores.accuracy, strict=True)) == [
        (label, seed, seed / 10) for label in LABELS for seed in (5, 2)
    ]
    assert scores.canvas.tolist()[:4] == ["black", "black", "255+0+0", "255+0+0"]
    assert scores.n.tolist() == [10, 10, 20, 20, 30, 30]
    assert set(scores.split) == {"test"}
    assert set(scores.classes) == {5} and set(scores.betas) == {"0.5+0.999"}


def test_what_is_measured_on_validation_images_says_so(results):
    sections = changed(SETTINGS.model_dump(), permutenet__split="validation")
    sections["permutenet"]["dataset"] |= {"folder": ".", "download": False}
    made = report(PermutenetSettings.model_validate(sections), results, PUBLISHED)
    assert set(made.tables["scores"].split) == {"validation"}
    assert set(made.tables["table"].published) == {""}
    assert (report(SETTINGS, results, PUBLISHED).tables["table"].published != "").any()


def test_whole_numbers_stay_whole_where_one_is_missing(results):
    scores = report(SETTINGS, results, PUBLISHED).tables["scores"]
    lines = scores[["width", "permuted_before", "seed"]].to_csv(index=False).splitlines()
    assert lines == ["width,permuted_before,seed", *["16,,5", "16,,2"] * 2, ",,5", ",,2"]


def test_figures_are_of_the_answers_of_all_seeds(monkeypatch, results):
    drawn = {}

    def capture(name):
        where = module if name == "images_figure" else module.figures
        draw = getattr(where, name)
        monkeypatch.setattr(where, name, lambda shown: drawn.update({name: shown}) or draw(shown))

    for name in (
        "images_figure",
        "confusions_figure",
        "accuracy_maps_figure",
        "learning_curves_figure",
    ):
        capture(name)
    made = report(SETTINGS, results, PUBLISHED)
    assert list(made.figures) == ["canvases", "learning_curves", "accuracy_maps", "confusions"]
    assert list(drawn["images_figure"]) == ["black 3x3", "255+0+0 3x3", "black 2x2"]
    assert [int(shown[0].max()) for shown in drawn["images_figure"].values()] == [0, 1, 2]
    assert list(drawn["accuracy_maps_figure"]) == LABELS
    assert drawn["accuracy_maps_figure"][LABELS[0]][0, 0] == 0.5  # one seed was right, one wrong
    assert drawn["confusions_figure"][LABELS[0]][0, :2].tolist() == [0.5, 0.5]
    first = drawn["learning_curves_figure"][LABELS[0]]
    assert [accuracy[-1] for _, accuracy in first] == [0.5, 0.2]


def test_picture_of_one_network_is_its_accuracy_by_location(results):
    figure = map_of(results["evaluate"][f"{LABELS[0]}-seed2"])
    (shown,) = [image for axis in figure.axes for image in axis.get_images()][:1]
    assert shown.get_array()[0, 0] == 1
