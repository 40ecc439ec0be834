"""`kedro run --pipeline=posenet` from end to end, on tiny settings."""

import json
import signal
import time

import numpy as np
import pandas as pd
import pytest

from posinfo.experiments import POSENET
from posinfo.stimuli.patterns import PATTERNS
from tests.integration.conftest import (
    CONFIG,
    Copy,
    assert_no_warning_is_ours,
    assert_pictures,
    computed,
    to_compute,
)

REPORTS = "08_reporting/posenet"
BACKBONES = [
    "posenet", "vgg16", "vgg16_unpadded", "efficientnet_lite0", "efficientnet_lite0_unpadded",
]  # fmt: skip
UNPADDED = ["posenet", "vgg16_unpadded", "efficientnet_lite0_unpadded"]
FIGURES = ("masks", "photos", "predicted_maps")


@pytest.fixture(scope="module")
def measured(finished) -> Copy:
    return finished("posenet")


@pytest.fixture(scope="module")
def scores(measured):
    return pd.read_csv(measured.data / REPORTS / "scores.csv", keep_default_na=False)


def test_scores_have_a_row_per_cell_and_seed(scores):
    assert list(scores.columns) == [
        "backbone", "weights", "padding", "pattern", "stimulus", "seed", "spc", "mae", "floor",
        "skill", "split", "n", "n_constant", "stuck",
    ]  # fmt: skip
    cells = scores.groupby(["backbone", "pattern", "stimulus", "seed"]).size()
    assert len(cells) == len(scores) == 5 * 8 * 4 * 2
    assert (set(scores.backbone), set(scores.pattern)) == (set(BACKBONES), set(PATTERNS))
    assert set(scores.stimulus) == {"photos", "black", "white", "noise"}
    assert (scores[scores.stimulus == "photos"].n == 4).all()
    assert scores.spc.between(-1, 1).all()
    np.testing.assert_allclose(scores.skill, 1 - scores.mae / scores.floor)


@pytest.mark.parametrize("backbone", UNPADDED)
def test_without_padding_a_constant_image_says_nothing(scores, backbone):
    """The readout on the image alone has no padding, either."""
    flat = scores[(scores.backbone == backbone) & scores.stimulus.isin(["black", "white"])]
    assert len(flat) == 8 * 2 * 2
    assert (flat.spc == 0).all()
    assert (flat.n_constant == 1).all()


def test_run_ends_with_the_table_and_the_paths(measured):
    text = measured.read(f"{REPORTS}/table1.md").decode()
    assert text in measured.result.stdout
    assert sum(line.startswith("|") for line in text.splitlines()) == 2 + 8 * 5
    for name in ("scores.csv", "table1.csv", "table1.md", *(f"{name}.png" for name in FIGURES)):
        assert f"data/test/{REPORTS}/{name}\n" in measured.result.stdout


def test_backbones_of_one_architecture_are_compared(measured):
    table = pd.read_csv(measured.data / REPORTS / "comparisons.csv")
    pairs = [
        ("vgg16", "vgg16_unpadded"),
        ("efficientnet_lite0", "efficientnet_lite0_unpadded"),
    ] * len(PATTERNS)  # fmt: skip
    assert list(zip(table.cell, table.against, strict=True)) == pairs
    assert (table.n_photographs == 4).all()
    assert measured.read(f"{REPORTS}/comparisons.md").decode() in measured.result.stdout


def test_pictures_are_of_the_results(measured):
    assert_pictures(measured, POSENET, *FIGURES)


def test_each_result_is_computed_once_and_has_a_line(measured):
    said = measured.result.stdout
    assert to_compute(said, "posenet") == (
        "images 3 of 3, features 15 of 15, readouts 5 of 5, evaluate 5 of 5"
    )
    sets = ("train", "test", "synthetic")
    assert computed(said) == [
        *(f"images/{name}" for name in sets),
        *(f"features/{backbone}.{name}" for backbone in BACKBONES for name in sets),
        *(f"readouts/{backbone}" for backbone in BACKBONES),
        *(f"evaluate/{backbone}" for backbone in BACKBONES),
    ]


def test_no_warning_is_ours(measured):
    assert_no_warning_is_ours(measured.result.stdout + measured.result.stderr)


def test_each_backbone_is_a_child_run(measured, scores):
    children = measured.children("posenet")
    assert set(children) == set(BACKBONES)
    child = children["vgg16"]
    expected = {"backbone": "vgg16", "readout.lr": "0.1", "padding": "zero", "image_size": "216"}
    assert expected.items() <= child.data.params.items()
    rows = scores[(scores.backbone == "vgg16") & (scores.pattern == "gaussian")]
    for name, stimulus in (("spc", "photos"), ("mae", "black"), ("skill", "noise")):
        mean = rows[rows.stimulus == stimulus][name].mean()
        assert child.data.metrics[f"{name}_gaussian_{stimulus}"] == pytest.approx(mean)
    client = measured.mlflow()
    history = client.get_metric_history(child.info.run_id, "loss_gaussian_seed_1")
    assert [metric.step for metric in history] == [1, 2]
    parent = child.data.tags["mlflow.parentRunId"]
    artifacts = {file.path for file in client.list_artifacts(parent)}
    assert artifacts >= {"table1.csv", "table1.md", "predicted_maps.png"}


def test_validation_shares_the_features_and_measures_train_photographs(measured, tmp_path):
    project = Copy(tmp_path, measured)
    project.configure("posenet: {only: [posenet, efficientnet_lite0], split: validation}")
    said = project.done("--pipeline=posenet", CONFIG)
    assert to_compute(said, "posenet") == (
        "images 0 of 3, features 0 of 6, readouts 2 of 2, evaluate 2 of 2"
    )
    features = "posenet/features/*/result.json"
    assert project.stored(features) == measured.stored(features)
    scores = pd.read_csv(project.data / REPORTS / "scores.csv")
    assert set(scores.split) == {"validation"}
    images = pd.read_csv(project.data / "03_primary/posenet/images/train/rows.csv")
    for backbone in ("posenet", "efficientnet_lite0"):
        folder = project.data / f"07_model_output/posenet/evaluate/{backbone}"
        shown = json.loads((folder / "result.json").read_text())["facts"]["images"]
        names = [name for stimulus, name in shown if stimulus == "photos"]
        assert len(set(names)) == 3 and set(names) < set(images.photograph)
        assert names == images.photograph[images.photograph.isin(names)].tolist()
        photos = scores[(scores.backbone == backbone) & (scores.stimulus == "photos")]
        assert set(photos.n) == {len(names)}
    table = pd.read_csv(project.data / REPORTS / "table1.csv")
    assert table.published_spc.isna().all()
    project.configure("posenet: {only: [posenet, efficientnet_lite0]}")
    said = project.done("--pipeline=posenet", CONFIG)
    assert computed(said) == []


def test_interrupted_run_is_killed_in_mlflow_and_leaves_no_half_result(project):
    process = project.start("--pipeline=posenet")
    features = project.data / "store/posenet/features"
    while not list(features.glob("*")) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    assert not list(project.data.glob("store/**/.*.partial"))
    assert all((folder / "result.json").exists() for folder in features.glob("*"))
    assert [run.info.status for run in project.mlflow_runs()] == ["KILLED"]


def test_user_photographs_and_weights_are_taken(project, save_photo):
    for index in range(6):
        folder = save_photo(f"train/{index}.jpg", size=(80, 60)).parent
        save_photo(f"test/below/{index}.png", size=(50, 70))
    project.configure(f"""photos: {{train_dir: {folder}, test_dir: {folder.parent / "test"}}}
    posenet:
      only: [efficientnet_lite0]
      patterns: [gaussian]
      readout: {{steps: 2}}
      backbones: {{efficientnet_lite0: {{weights: untrained}}}}
""")
    project.done("--pipeline=posenet", CONFIG)
    rows = {
        name: pd.read_csv(project.data / f"03_primary/posenet/images/{name}/rows.csv")
        for name in ("train", "test")
    }
    assert rows["train"].photograph.tolist() == [f"{index}.jpg" for index in range(6)]
    assert rows["test"].photograph.tolist() == [f"below/{index}.png" for index in range(6)]
    scores = pd.read_csv(project.data / REPORTS / "scores.csv")
    assert set(scores.weights) == {"untrained"}
    assert set(scores[scores.stimulus == "photos"].n) == {6}
