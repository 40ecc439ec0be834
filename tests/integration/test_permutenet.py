"""`kedro run --pipeline=permutenet` from end to end, on tiny settings."""

import signal
import time

import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.integration.conftest import Copy

REPORTS = "08_reporting/permutenet"
FIGURES = ("canvases", "learning_curves", "accuracy_maps", "confusions")
CELLS = 6
ONE_CELL = """
run:
  params:
    permutenet:
      only: [permutenet-per_batch-image-3x3-canvas-released]
      seeds: [0]
      shared: {training: {epochs: 12}}
"""


@pytest.fixture(scope="module")
def permuted(tmp_path_factory) -> Copy:
    """A project in which the pipeline has been run once; only read it."""
    copy = Copy(tmp_path_factory.mktemp("permuted"))
    copy.result = copy.run("--pipeline=permutenet")
    assert copy.result.returncode == 0, copy.result.stdout + copy.result.stderr
    return copy


def weights(project):
    folder = project.data / "06_models/permutenet/networks"
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


def test_scores_have_a_row_per_cell_and_seed(permuted):
    scores = pd.read_csv(permuted.data / REPORTS / "scores.csv")
    assert list(scores.columns) == [
        "dataset", "network", "permutation", "padding", "canvas", "task", "grid", "seed",
        "accuracy", "chance", "n", "cell", "classes", "cell_size", "arch", "width",
        "permuted_before", "epochs", "batch_size", "optimiser", "lr", "betas", "momentum",
        "weight_decay", "schedule", "mirrored", "keep",
    ]  # fmt: skip
    assert len(scores) == CELLS * 2 and not scores.duplicated(["cell", "seed"]).any()
    assert scores.accuracy.between(0, 1).all()
    expected = (1 / scores.grid**2).where(scores.task == "location", 0.1)
    np.testing.assert_allclose(scores.chance, expected)
    assert (scores.n == 20 * scores.grid**2).all()


def test_answers_hold_every_test_image_in_every_cell(permuted):
    scores = pd.read_csv(permuted.data / REPORTS / "scores.csv")
    for cell, rows in scores.groupby("cell"):
        answers = pd.read_csv(permuted.data / f"07_model_output/permutenet/answers/{cell}.csv")
        assert (answers.groupby(["seed", "location"])["count"].sum() == 20).all()
        right = answers[answers.target == answers.answer].groupby("seed")["count"].sum()
        told = rows.set_index("seed").accuracy * rows.set_index("seed").n
        np.testing.assert_allclose(right.reindex(told.index, fill_value=0), told)


def test_run_ends_with_the_table_and_the_paths(permuted):
    text = permuted.read(f"{REPORTS}/table.md").decode()
    assert text in permuted.result.stdout
    assert "Loc 3x3 chance" in text and "0.821 (slides) or 0.736 (poster)" in text
    for name in ("scores.csv", "table.csv", "table.md", *(f"{name}.png" for name in FIGURES)):
        assert f"data/test/{REPORTS}/{name}\n" in permuted.result.stdout


def test_pictures_are_pictures(permuted):
    for name in FIGURES:
        with Image.open(permuted.data / REPORTS / f"{name}.png") as image:
            assert np.asarray(image.convert("L")).std() > 10


def test_no_warning_is_ours(permuted):
    lines = (permuted.result.stdout + permuted.result.stderr).splitlines()
    assert [line for line in lines if "Warning" in line and "posinfo" in line] == []


def test_each_cell_is_a_child_run(permuted):
    client = mlflow.MlflowClient(f"sqlite:///{permuted.root}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("posinfo").experiment_id])
    parent = next(run for run in runs if run.info.run_name == "permutenet")
    children = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(children) == CELLS
    assert {run.info.status for run in runs} == {"FINISHED"}
    child = next(r for r in children if r.info.run_name == "gapnet-none-location-3x3")
    expected = {"network": "gapnet", "grid": "3", "training.lr": "0.01", "dataset.name": "digits"}
    assert expected.items() <= child.data.params.items()
    assert {"accuracy", "accuracy_seed_1", "chance", "train_loss_seed_0"} <= set(child.data.metrics)
    history = client.get_metric_history(child.info.run_id, "validation_accuracy_seed_1")
    assert [metric.step for metric in history] == [1, 2]
    assert [f.path for f in client.list_artifacts(child.info.run_id)] == ["accuracy_map.png"]
    artifacts = {f.path for f in client.list_artifacts(parent.info.run_id)}
    assert artifacts >= {"table.csv", "table.md", "accuracy_maps.png", "confusions.png"}


def test_killed_training_goes_on_to_the_same_weights(project, tmp_path_factory):
    whole = Copy(tmp_path_factory.mktemp("whole"))
    for copy in (project, whole):
        (copy.root / "run.yml").write_text(ONE_CELL)
    arguments = ("--pipeline=permutenet", "--config=run.yml")
    assert whole.run(*arguments).returncode == 0
    process = project.start(*arguments)
    checkpoints = project.data / "06_models/permutenet/checkpoints"
    while not list(checkpoints.glob("*.pt")) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert not weights(project), "it was killed too late to tell"
    result = project.run(*arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    assert weights(project) == weights(whole) and len(weights(whole)) == 1
    name = f"{REPORTS}/scores.csv"
    assert project.read(name) == whole.read(name)


def test_stages_run_alone_and_refuse_what_was_trained_otherwise(project):
    (project.root / "run.yml").write_text(ONE_CELL)
    for stage in ("data_preparation", "modeling", "evaluation"):
        result = project.run("--pipeline=permutenet", f"--tags={stage}", "--config=run.yml")
        assert result.returncode == 0, result.stdout + result.stderr
    changed = ONE_CELL.replace("epochs: 12", "epochs: 11")
    (project.root / "run.yml").write_text(changed)
    result = project.run("--pipeline=permutenet", "--tags=evaluation", "--config=run.yml")
    assert result.returncode != 0
    assert "seed0 were made with other settings or inputs than the ones asked" in result.stderr
    result = project.run(
        "--pipeline=permutenet", "--from-nodes=permutenet_summarise", "--config=run.yml"
    )
    assert result.returncode != 0
    assert "there are no answers of 'permutenet-per_batch-image-3x3-canvas" in result.stderr


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("permutenet.shared.cell_size=16", "tiles of 32 x 32 px do not fit a canvas cell of 16 px"),
        ("permutenet.shared.padding=none", "the smallest canvas (grid x cell_size) is"),
        ("permutenet.dataset.name=cifar10", "CIFAR-10 is not in"),
    ],
)
def test_bad_parameter_stops_the_run(project, parameters, message):
    result = project.run("--pipeline=permutenet", f"--params={parameters}")
    assert result.returncode != 0
    assert message in " ".join((result.stdout + result.stderr).split())
    assert not list(project.data.glob("06_models/permutenet/**/*"))


def test_diverging_training_says_where_and_keeps_finished_cells(project):
    """The first cell in alphabetical order is finished and stored; the next one diverges."""
    (project.root / "run.yml").write_text("""
run:
  params:
    permutenet:
      seeds: [0]
      cells:
        - {network: gapnet, permutation: none, task: image}
        - {network: gapnet, permutation: none, task: location, training: {lr: 1.0e+30}}
""")
    result = project.run("--pipeline=permutenet", "--config=run.yml")
    assert result.returncode != 0
    text = " ".join((result.stdout + result.stderr).split())
    assert (
        "gapnet-none-location-3x3-lr-1e+30-seed0: epoch 1: " in text
        and "lower the learning rate" in text
    )
    assert list(weights(project)) == ["gapnet-none-image-3x3-seed0.safetensors"]
