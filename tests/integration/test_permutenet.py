"""`kedro run --pipeline=permutenet` from end to end, on tiny settings."""

import re
import shutil
import signal
import time

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from posinfo.experiments import PERMUTENET
from tests.integration.conftest import (
    CONFIG,
    Copy,
    assert_no_warning_is_ours,
    assert_pictures,
    computed,
    to_compute,
)

PIPELINE = "--pipeline=permutenet"
REPORTS = "08_reporting/permutenet"
FIGURES = ("canvases", "learning_curves", "accuracy_maps", "confusions")
CELLS = 6
ONE_CELL = """permutenet:
      only: [permutenet-per_batch-image-3x3-canvas-released]
      seeds: [0]
      shared: {training: {epochs: 12}}
"""
ONE = "permutenet-per_batch-image-3x3-canvas-released-seed0"


@pytest.fixture(scope="module")
def permuted(finished) -> Copy:
    return finished("permutenet")


@pytest.fixture(scope="module")
def by_stages(tmp_path_factory) -> Copy:
    """A project in which one cell has been computed stage by stage; only read it."""
    copy = Copy(tmp_path_factory.mktemp("stages"))
    copy.configure(ONE_CELL)
    for stage in ("data_preparation", "modeling", "evaluation"):
        copy.done(PIPELINE, f"--tags={stage}", CONFIG)
    return copy


def weights(project):
    return list(project.stored("permutenet/train/*/tensors.safetensors").values())


def test_scores_have_a_row_per_cell_and_seed(permuted):
    scores = pd.read_csv(permuted.data / REPORTS / "scores.csv")
    assert list(scores.columns) == [
        "dataset", "network", "permutation", "padding", "canvas", "task", "grid", "seed",
        "accuracy", "floor", "split", "n", "cell", "classes", "location_size", "arch", "width",
        "permuted_before", "epochs", "batch_size", "optimiser", "lr", "betas", "momentum",
        "weight_decay", "schedule", "mirrored", "keep",
    ]  # fmt: skip
    assert len(scores) == CELLS * 2 and not scores.duplicated(["cell", "seed"]).any()
    assert scores.accuracy.between(0, 1).all()
    expected = (1 / scores.grid**2).where(scores.task == "location", 0.1)
    np.testing.assert_allclose(scores.floor, expected)
    assert (scores.n == 20 * scores.grid**2).all()


def test_results_hold_every_test_image_at_every_location(permuted):
    scores = pd.read_csv(permuted.data / REPORTS / "scores.csv")
    for row in scores.itertuples():
        folder = permuted.data / f"07_model_output/permutenet/evaluate/{row.cell}-seed{row.seed}"
        assert folder.is_symlink() and folder.resolve().parent == (
            permuted.data / "store/permutenet/evaluate"
        )
        counts = load_file(folder / "tensors.safetensors")["counts"]
        assert (counts.sum((1, 2)) == 20).all()
        right = counts.diagonal(dim1=1, dim2=2).sum().item()
        assert right == pytest.approx(row.accuracy * row.n)


def test_run_ends_with_the_table_and_the_paths(permuted):
    text = permuted.read(f"{REPORTS}/table.md").decode()
    assert text in permuted.result.stdout
    assert "Loc 3x3 floor" in text and "0.821 (slides) or 0.736 (poster)" in text
    for name in ("scores.csv", "table.csv", "table.md", *(f"{name}.png" for name in FIGURES)):
        assert f"data/test/{REPORTS}/{name}\n" in permuted.result.stdout


def test_run_says_at_its_start_what_it_computes_and_then_each_cell(permuted):
    said = permuted.result.stdout
    assert to_compute(said, "permutenet") == "images 1 of 1, train 12 of 12, evaluate 12 of 12"
    assert len(computed(said)) == len(set(computed(said))) == 25


def test_pictures_are_of_the_results(permuted):
    assert_pictures(permuted, PERMUTENET, *FIGURES)


def test_no_warning_is_ours(permuted):
    assert_no_warning_is_ours(permuted.result.stdout + permuted.result.stderr)


def test_each_network_is_a_child_run(permuted):
    children = permuted.children("permutenet")
    scores = pd.read_csv(permuted.data / REPORTS / "scores.csv")
    assert set(children) == {f"{row.cell}-seed{row.seed}" for row in scores.itertuples()}
    child = children["gapnet-none-location-3x3-seed1"]
    expected = {
        "network": "gapnet", "grid": "3", "training.lr": "0.01", "dataset.name": "digits",
        "seed": "1", "cell": "gapnet-none-location-3x3", "device": "cpu", "dtype": "float32",
    }  # fmt: skip
    assert expected.items() <= child.data.params.items()
    row = scores.query("cell == 'gapnet-none-location-3x3' and seed == 1").iloc[0]
    assert child.data.metrics["accuracy"] == pytest.approx(row.accuracy)
    client = permuted.mlflow()
    for name in ("train_loss", "validation_accuracy"):
        history = client.get_metric_history(child.info.run_id, name)
        assert [metric.step for metric in history] == [1, 2]
    assert [file.path for file in client.list_artifacts(child.info.run_id)] == ["picture.png"]
    parent = child.data.tags["mlflow.parentRunId"]
    artifacts = {file.path for file in client.list_artifacts(parent)}
    assert artifacts >= {"table.csv", "table.md", "accuracy_maps.png", "confusions.png"}


def test_second_run_computes_nothing(permuted, tmp_path):
    again = Copy(tmp_path, permuted)
    said = again.done(PIPELINE)
    assert to_compute(said, "permutenet") == "images 0 of 1, train 0 of 12, evaluate 0 of 12"
    assert computed(said) == []
    assert again.stored("**/*.*") == permuted.stored("**/*.*")
    for name in ("scores.csv", "table.csv", "table.md", "accuracy_maps.png"):
        assert again.read(f"{REPORTS}/{name}") == permuted.read(f"{REPORTS}/{name}")
    assert len(again.children("permutenet")) == 12


def test_validation_images_are_measured_without_another_training(permuted, tmp_path):
    project = Copy(tmp_path, permuted)
    project.configure("permutenet: {split: validation, only: [gapnet]}")
    said = project.done(PIPELINE, CONFIG)
    assert to_compute(said, "permutenet") == "images 0 of 1, train 0 of 4, evaluate 4 of 4"
    assert weights(project) == weights(permuted)
    scores = pd.read_csv(project.data / REPORTS / "scores.csv")
    assert set(scores.split) == {"validation"} and set(scores.n) == {15 * 9}
    assert pd.read_csv(project.data / REPORTS / "table.csv").published.isna().all()
    splits = {child.data.params["split"] for child in project.children("permutenet").values()}
    assert splits == {"validation"}


def test_only_missing_outputs_computes_what_is_missing(permuted, tmp_path):
    project = Copy(tmp_path, permuted)
    label = "gapnet-none-location-3x3-seed1"
    link = project.data / "07_model_output/permutenet/evaluate" / label
    shutil.rmtree(link.resolve())
    said = project.done(PIPELINE, "--only-missing-outputs")
    assert computed(said) == [f"evaluate/{label}"]
    assert "Running node: train" not in said
    assert project.read(f"{REPORTS}/scores.csv") == permuted.read(f"{REPORTS}/scores.csv")
    assert (link / "result.json").exists()
    # outputs of other settings are missing; what one of the cells was stays as it is
    project.configure("""permutenet:
      seeds: [0]
      cells:
        - {network: gapnet, permutation: none, task: location}
        - {network: gapnet, permutation: none, task: location, training: {lr: 0.02}}
""")
    said = project.done(PIPELINE, "--only-missing-outputs", CONFIG)
    changed = "gapnet-none-location-3x3-lr-0.02-seed0"
    assert computed(said) == [f"train/{changed}", f"evaluate/{changed}"]
    assert set(pd.read_csv(project.data / REPORTS / "scores.csv").lr) == {0.01, 0.02}


def test_killed_training_goes_on_to_the_same_weights(project, by_stages):
    project.configure(ONE_CELL)
    process = project.start(PIPELINE, CONFIG)
    while not list(project.data.glob("store/checkpoints/*.pt")) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert not weights(project), "it was killed too late to tell"
    said = project.done(PIPELINE, CONFIG)
    assert computed(said) == [f"train/{ONE}", f"evaluate/{ONE}"]
    assert weights(project) == weights(by_stages) and len(weights(project)) == 1
    name = f"{REPORTS}/scores.csv"
    assert project.read(name) == by_stages.read(name)
    assert not list(project.data.glob("store/checkpoints/*"))
    assert not list(project.data.glob("store/**/.*.partial"))


def test_stages_refuse_what_was_trained_otherwise(by_stages, tmp_path):
    project = Copy(tmp_path, by_stages)
    project.configure(ONE_CELL.replace("epochs: 12", "epochs: 11"))
    said = project.failed(PIPELINE, "--tags=evaluation", CONFIG)
    assert (
        f"the results of train of '{ONE}' were made with other settings or inputs than are asked "
        "for (training.epochs): run the stage `modeling`, or the whole pipeline, again" in said
    )
    said = project.failed(PIPELINE, "--from-nodes=permutenet.report", CONFIG)
    assert f"the results of evaluate of '{ONE}' were never made with these settings" in said
    assert project.stored("**/*.*") == by_stages.stored("**/*.*")


def test_diverging_training_says_where_and_the_other_cells_are_kept(project):
    """The first cell diverges, the next one is finished and kept."""
    diverging = "- {network: gapnet, permutation: none, task: location, training: {lr: 1.0e+30}}"
    project.configure(f"""permutenet:
      seeds: [0]
      cells:
        {diverging}
        - {{network: gapnet, permutation: none, task: image}}
""")
    said = project.failed(PIPELINE, CONFIG)
    message = (
        r"1 of 2 cells of train failed, the others are finished and kept: "
        r"gapnet-none-location-3x3-lr-1e\+30-seed0: epoch 1: "
        r".* in step \d+: lower the learning rate"
    )
    assert re.search(message, said) and "Traceback" not in said
    log = (project.root / "posinfo.log").read_text()
    assert "Traceback" in log and str(project.root / "src/posinfo") in log
    assert [run.info.status for run in project.mlflow_runs()] == ["FAILED"]
    kept = "gapnet-none-image-3x3-seed0"
    assert len(weights(project)) == 1
    project.configure(f"""permutenet:
      seeds: [0]
      only: [gapnet-none-image-3x3]
      cells:
        {diverging}
        - {{network: gapnet, permutation: none, task: image}}
""")
    said = project.done(PIPELINE, CONFIG)
    assert to_compute(said, "permutenet") == "images 0 of 1, train 0 of 1, evaluate 1 of 1"
    assert computed(said) == [f"evaluate/{kept}"]
    assert pd.read_csv(project.data / REPORTS / "scores.csv").cell.tolist() == [kept[:-6]]


def test_two_processes_compute_the_same_bits_as_one(permuted, project):
    project.configure("parallel: {n_jobs: 2, threads_per_job: 1}\n    permutenet: {only: [gapnet]}")
    assert len(computed(project.done(PIPELINE, CONFIG))) == 1 + 2 * 4
    one, two = (
        pd.read_csv(copy.data / REPORTS / "scores.csv", dtype=str).query("network == 'gapnet'")
        for copy in (permuted, project)
    )
    pd.testing.assert_frame_equal(two, one.reset_index(drop=True))
    tensors = project.stored("permutenet/*/*/tensors.safetensors")
    assert tensors.items() <= permuted.stored("permutenet/*/*/tensors.safetensors").items()
    assert len(tensors) == 1 + 2 * 4
    assert len(project.children("permutenet")) == 4
