"""`kedro run --pipeline=posenet` from end to end, on tiny settings."""

import signal
import time

import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from posinfo.stimuli.patterns import PATTERNS

REPORTS = "08_reporting/posenet"
BACKBONES = ["posenet", "vgg16", "vgg16_unpadded", "vgg16_untrained"]


@pytest.fixture
def scores(finished):
    return pd.read_csv(finished.data / REPORTS / "scores.csv", keep_default_na=False)


def test_scores_have_a_row_per_cell_and_seed(scores):
    assert list(scores.columns) == [
        "backbone", "weights", "padding", "pattern", "stimulus", "seed", "spc", "mae",
        "mae_floor", "skill", "n_images", "n_constant",
    ]  # fmt: skip
    cells = scores.groupby(["backbone", "pattern", "stimulus", "seed"]).size()
    assert len(cells) == len(scores) == 4 * 6 * 4 * 2
    assert (set(scores.backbone), set(scores.pattern)) == (set(BACKBONES), set(PATTERNS))
    assert set(scores.stimulus) == {"photos", "black", "white", "noise"}
    assert (scores[scores.stimulus == "photos"].n_images == 8).all()
    assert scores.spc.between(-1, 1).all()
    np.testing.assert_allclose(scores.skill, 1 - scores.mae / scores.mae_floor)


def test_the_image_alone_says_nothing_on_black_and_white(scores):
    flat = scores[(scores.backbone == "posenet") & scores.stimulus.isin(["black", "white"])]
    assert (flat.spc == 0).all()
    assert (flat.n_constant == 1).all()


def test_without_padding_a_constant_image_says_nothing(scores):
    flat = scores[(scores.backbone == "vgg16_unpadded") & scores.stimulus.isin(["black", "white"])]
    assert (flat.spc == 0).all()
    assert (flat.n_constant == 1).all()


def test_run_ends_with_the_table_and_the_paths(finished):
    text = finished.read(f"{REPORTS}/table1.md").decode()
    assert text in finished.result.stdout
    assert len(text.splitlines()) == 2 + 6 * 4
    for name in ("scores.csv", "table1.csv", "table1.md", "masks.png", "photos.png"):
        assert f"data/test/{REPORTS}/{name}\n" in finished.result.stdout


def test_pictures_are_pictures(finished):
    for name in ("masks", "photos", "predicted_maps"):
        with Image.open(finished.data / REPORTS / f"{name}.png") as image:
            assert np.asarray(image.convert("L")).std() > 10


def test_a_line_is_logged_for_each_cell(finished):
    for backbone in BACKBONES:
        for pattern in PATTERNS:
            assert f"{backbone} {pattern}: SPC " in finished.result.stdout


def test_no_warning_is_ours(finished):
    lines = (finished.result.stdout + finished.result.stderr).splitlines()
    assert [line for line in lines if "Warning" in line and "posinfo" in line] == []


def test_each_cell_is_a_child_run(finished):
    client = mlflow.MlflowClient(f"sqlite:///{finished.root}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("posinfo").experiment_id])
    parent = next(run for run in runs if run.info.run_name == "posenet")
    children = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(children) == 4 * 6
    assert {run.info.status for run in runs} == {"FINISHED"}
    child = next(run for run in children if run.info.run_name == "vgg16 gaussian")
    expected = {"backbone": "vgg16", "pattern": "gaussian", "readout.lr": "0.1", "padding": "zero"}
    assert expected.items() <= child.data.params.items()
    assert {"spc_photos", "mae_black", "skill_noise", "mae_floor", "loss_seed_0"} <= set(
        child.data.metrics
    )
    steps = [m.step for m in client.get_metric_history(child.info.run_id, "loss_seed_1")]
    assert steps == [1, 2]
    assert [f.path for f in client.list_artifacts(child.info.run_id)] == ["map.png"]
    artifacts = {f.path for f in client.list_artifacts(parent.info.run_id)}
    assert artifacts >= {"table1.csv", "table1.md", "predicted_maps.png"}


def test_second_run_and_single_stages_repeat_the_same_bits(project):
    """Features are cached, stages run alone, and nothing differs in the end."""
    config = project.root / "run.yml"
    config.write_text("run:\n  params:\n    posenet: {only: [posenet, vgg16], seeds: [3]}\n")
    first = project.run("--pipeline=posenet", "--config=run.yml")
    assert first.returncode == 0, first.stdout + first.stderr
    before = {name: project.read(f"{REPORTS}/{name}") for name in ("scores.csv", "table1.csv")}
    assert set(pd.read_csv(project.data / REPORTS / "scores.csv").seed) == {3}
    for stage in ("data_preparation", "modeling", "evaluation"):
        result = project.run("--pipeline=posenet", f"--tags={stage}", "--config=run.yml")
        assert result.returncode == 0, result.stdout + result.stderr
        if stage == "modeling":
            assert "vgg16: features of 0 images computed" in result.stdout
    assert before == {name: project.read(f"{REPORTS}/{name}") for name in before}
    config.write_text("run:\n  params:\n    posenet: {only: [posenet, vgg16], seeds: [4]}\n")
    result = project.run("--pipeline=posenet", "--tags=evaluation", "--config=run.yml")
    assert result.returncode != 0
    assert "these readouts were made with other settings or inputs" in result.stderr


def test_interrupted_run_is_killed_in_mlflow_and_leaves_no_half_array(project):
    process = project.start("--pipeline=posenet")
    features = project.data / "04_feature"
    while not list(features.glob("features-*")) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    assert not list(features.glob(".*.partial"))
    client = mlflow.MlflowClient(f"sqlite:///{project.root}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("posinfo").experiment_id])
    assert [run.info.status for run in runs] == ["KILLED"]


def test_user_photographs_and_weights_are_taken(project, save_photo):
    for index in range(6):
        folder = save_photo(f"train/{index}.jpg", size=(80, 60)).parent
        save_photo(f"test/below/{index}.png", size=(50, 70))
    result = project.run(
        "--params=photos.train_dir=" + str(folder)
        + ",photos.test_dir=" + str(folder.parent / "test")
        + ",posenet.backbones.vgg16.weights=untrained,posenet.readout.steps=2",
        "--to-outputs=posenet_scores",
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert "train: 6 images from 6 photographs" in result.stdout
    photos = pd.read_csv(project.data / "02_intermediate/posenet/test_photos.csv")
    assert photos.photograph.tolist() == [f"below/{index}.png" for index in range(6)]
    scores = pd.read_csv(project.data / REPORTS / "scores.csv")
    assert set(scores[scores.backbone == "vgg16"].weights) == {"untrained"}
