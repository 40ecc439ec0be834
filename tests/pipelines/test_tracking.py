import subprocess
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from matplotlib.figure import Figure
from pydantic import BaseModel

from posinfo.pipelines import tracking


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """One for all tests, as it takes seconds to make."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture
def experiment(database, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MLflow, left to itself, writes into the working folder
    previous = mlflow.get_tracking_uri()
    # set_tracking_uri sets it too, and a `kedro run` of another test would inherit it
    monkeypatch.setenv("MLFLOW_TRACKING_URI", previous)
    mlflow.set_tracking_uri(database)
    artifacts = str(tmp_path / "artifacts")
    identity = mlflow.create_experiment(tmp_path.name, artifact_location=artifacts)
    mlflow.set_experiment(experiment_id=identity)
    yield identity
    tracking.end_runs()
    forget_commit()
    mlflow.set_tracking_uri(previous)


@pytest.fixture
def logged(experiment):
    """The one run below a parent, after ``log_cell``; the client; the parent."""

    def log(*arguments):
        with mlflow.start_run() as parent:
            tracking.log_cell(*arguments)
        client = mlflow.MlflowClient()
        runs = client.search_runs([experiment])
        (child,) = [run for run in runs if run.info.run_id != parent.info.run_id]
        return child, client, parent

    return log


class Readout(BaseModel):
    lr: float = 0.1
    sizes: tuple[int, ...] = (1, 2)


def test_cell_is_a_run_below_its_parent(logged):
    child, _, parent = logged("cell-a", {}, {}, {})
    assert child.info.run_name == "cell-a"
    assert child.info.status == "FINISHED"
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert child.data.tags["mlflow.source.name"] == "posinfo"


def test_cell_is_tagged_with_the_commit_of_the_code(logged, monkeypatch):
    answer = subprocess.CompletedProcess([], 0, stdout="0123abc\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    forget_commit()
    child, _, _ = logged("cell", {}, {}, {})
    assert child.data.tags["commit"] == "0123abc"


def test_cell_has_no_commit_outside_of_a_clone(logged):
    forget_commit()
    child, _, _ = logged("cell", {}, {}, {})  # the working folder is no clone
    assert "commit" not in child.data.tags


def forget_commit():
    """It is asked for once per process."""
    for value in vars(tracking).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()


def test_parameters_of_a_cell_are_flattened(logged, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRUNCATE_LONG_VALUES", "false")  # a server may refuse long ones
    parameters = {
        "backbone": "net",
        "readout": Readout(),
        "photos": {"train": {"seed": 0}, "folder": None},
        "long": "x" * 7000,
    }
    child, _, _ = logged("cell", parameters, {}, {})
    assert child.data.params == {
        "backbone": "net",
        "readout.lr": "0.1",
        "readout.sizes": "[1, 2]",
        "photos.train.seed": "0",
        "photos.folder": "None",
        "long": "x" * 6000,
    }


def test_metrics_of_a_cell_leave_out_undefined_ones(logged):
    values = {"spc": 0.5, "undefined": float("nan"), "infinite": float("inf"), "mae": -1.0}
    child, _, _ = logged("cell", {}, values, {})
    assert child.data.metrics == {"spc": 0.5, "mae": -1.0}


def test_history_of_a_cell_has_epochs(logged):
    history = {"loss": [3.0, float("nan"), 1.0], "accuracy": (0.5,)}
    child, client, _ = logged("cell", {}, {"spc": 0.5}, history)
    assert child.data.metrics == {"loss": 1.0, "accuracy": 0.5, "spc": 0.5}
    points = client.get_metric_history(child.info.run_id, "loss")
    assert [(point.step, point.value) for point in points] == [(1, 3.0), (3, 1.0)]
    points = client.get_metric_history(child.info.run_id, "accuracy")
    assert [(point.step, point.value) for point in points] == [(1, 0.5)]


def test_history_may_be_longer_than_a_server_takes_at_once(logged, monkeypatch):
    written = []
    log_batch = mlflow.MlflowClient.log_batch

    def watched(self, run_id, metrics=(), **others):
        written.append(len(metrics))
        return log_batch(self, run_id, metrics=metrics, **others)

    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", watched)
    curve = [1 / epoch for epoch in range(1, 2501)]
    child, client, _ = logged("cell", {"a": 1}, {"spc": 0.5}, {"loss": curve})
    assert sum(written) == 2501 and max(written) < 1000
    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", log_batch)
    points = client.get_metric_history(child.info.run_id, "loss")
    found = sorted((point.step, point.value) for point in points)
    assert found == list(enumerate(curve, start=1))
    assert child.data.params == {"a": "1"}


def test_picture_of_a_cell_is_kept(logged):
    child, client, _ = logged("cell", {}, {}, {}, Figure())
    assert [file.path for file in client.list_artifacts(child.info.run_id)] == ["picture.png"]


def test_nothing_is_tracked_where_no_run_is_open(experiment, tmp_path):
    tracking.log_cell("cell", {"a": 1}, {"spc": 0.5}, {"loss": [1.0]}, Figure())
    (tmp_path / "table.md").write_text("| a |")
    tracking.log_files(tmp_path)
    assert mlflow.active_run() is None
    assert mlflow.MlflowClient().search_runs([experiment]) == []


def test_files_are_artifacts_of_the_current_run(experiment, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "table.md").write_text("é")
    (folder / "picture.png").write_bytes(bytes(range(256)))
    with mlflow.start_run() as run:
        tracking.log_files(folder)
    client = mlflow.MlflowClient()
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {
        "table.md",
        "picture.png",
    }
    path = client.download_artifacts(run.info.run_id, "picture.png", str(tmp_path))
    with open(path, "rb") as file:
        assert file.read() == bytes(range(256))


def test_metrics_are_float_columns_averaged_over_seeds():
    rows = pd.DataFrame(
        {"seed": [0, 1], "n": [10, 10], "accuracy": [0.25, 0.75], "floor": [0.5, 0.5]}
    )
    assert tracking.metrics_of(rows) == {"accuracy": 0.5, "floor": 0.5}


def test_metrics_are_named_by_texts_that_differ():
    rows = pd.DataFrame(
        {
            "stimulus": ["photos", "photos", "noise", "noise"],
            "pattern": ["gaussian"] * 4,
            "seed": [0, 1, 0, 1],
            "spc": [0.5, 1.0, 0.25, 0.25],
        }
    )
    assert tracking.metrics_of(rows) == {"spc_photos": 0.75, "spc_noise": 0.25}
    rows["pattern"] = ["gaussian", "control"] * 2
    assert tracking.metrics_of(rows) == {
        "spc_photos_gaussian": 0.5,
        "spc_photos_control": 1.0,
        "spc_noise_gaussian": 0.25,
        "spc_noise_control": 0.25,
    }


def test_metrics_of_rows_without_any():
    assert tracking.metrics_of(None) == {}
    assert tracking.metrics_of(pd.DataFrame({"spc": []})) == {}
    assert tracking.metrics_of(pd.DataFrame({"seed": [1], "name": ["a"]})) == {}


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_every_open_run_is_ended(experiment, status):
    outer = mlflow.start_run()
    inner = mlflow.start_run(nested=True)
    tracking.end_runs(status)
    assert mlflow.active_run() is None
    client = mlflow.MlflowClient()
    for run in (outer, inner):
        assert client.get_run(run.info.run_id).info.status == status


def test_page_is_the_list_of_runs(experiment):
    with mlflow.start_run():
        pass
    runs = f"/#/experiments/{experiment}/runs"
    address = mlflow.get_tracking_uri()  # this folder is no clone
    assert tracking.page() == (
        f"mlflow ui --backend-store-uri={address}, then http://127.0.0.1:5000{runs}"
    )
    Path("Makefile").touch()
    assert tracking.page() == f"make mlflow, then http://127.0.0.1:5000{runs}"


def test_page_of_a_server(monkeypatch):
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: "https://me:secret@runs.example.org/")
    monkeypatch.setattr(mlflow, "last_active_run", lambda: None)
    assert tracking.page() == "https://runs.example.org"


def test_run_of_a_cell_that_cannot_be_logged_is_failed(experiment, monkeypatch):
    def broken(*_, **__):
        raise OSError("no room")

    monkeypatch.setattr(mlflow.MlflowClient, "log_figure", broken)
    with mlflow.start_run() as parent, pytest.raises(OSError, match="no room"):
        tracking.log_cell("cell", {}, {}, {}, Figure())
    runs = mlflow.MlflowClient().search_runs([experiment])
    (child,) = [run for run in runs if run.info.run_id != parent.info.run_id]
    assert child.info.status == "FAILED"


@pytest.mark.parametrize(("failed", "status"), [(False, "FINISHED"), (True, "FAILED")])
def test_run_of_a_trial_has_tags_and_ends_as_the_trial_did(experiment, failed, status):
    with mlflow.start_run() as parent:
        tracking.log_cell("trial 1", {}, {"a": 1.0}, {}, tags={"study": "mine"}, failed=failed)
    runs = mlflow.MlflowClient().search_runs([experiment])
    (child,) = [run for run in runs if run.info.run_id != parent.info.run_id]
    assert child.info.status == status and child.data.tags["study"] == "mine"
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert child.data.metrics == {"a": 1.0}


def test_texts_and_pictures_are_artifacts_of_the_current_run(experiment):
    tracking.log_texts({"a.csv": "a"}, {"front": Figure()})  # no run is open
    assert mlflow.MlflowClient().search_runs([experiment]) == []
    with mlflow.start_run() as run:
        tracking.log_texts({"a.csv": "a\n1\n"}, {"front": Figure()})
    client = mlflow.MlflowClient()
    files = [file.path for file in client.list_artifacts(run.info.run_id)]
    assert files == ["a.csv", "plots"]
    (plot,) = client.list_artifacts(run.info.run_id, "plots")
    assert plot.path == "plots/front.png"
