import mlflow
import pandas as pd
import pytest
from matplotlib.figure import Figure

from posinfo.pipelines import tracking


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    previous = mlflow.get_tracking_uri()
    # set_tracking_uri sets it too, and a `kedro run` of another test would inherit it
    monkeypatch.setenv("MLFLOW_TRACKING_URI", previous)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    identity = mlflow.create_experiment("test", artifact_location=str(tmp_path / "artifacts"))
    mlflow.set_experiment(experiment_id=identity)
    yield identity
    mlflow.set_tracking_uri(previous)


def test_child_run_records_everything_below_its_parent(experiment):
    with mlflow.start_run() as parent:
        with tracking.child_run("cell", {"backbone": "net", "readout": {"lr": 0.1}}):
            tracking.log_history("loss", [3.0, 2.0, 1.0])
            tracking.log_metrics({"spc": 0.5, "undefined": float("nan")})
            tracking.log_figure(Figure(), "map.png")
        tracking.log_table(pd.DataFrame({"a": [1]}), "| a |", "table1")
    client = mlflow.MlflowClient()
    child = next(r for r in client.search_runs([experiment]) if r.info.run_name == "cell")
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert child.data.params == {"backbone": "net", "readout.lr": "0.1"}
    assert child.data.metrics == {"loss": 1.0, "spc": 0.5}
    history = client.get_metric_history(child.info.run_id, "loss")
    assert [(m.step, m.value) for m in history] == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert [f.path for f in client.list_artifacts(child.info.run_id)] == ["map.png"]
    assert {f.path for f in client.list_artifacts(parent.info.run_id)} == {
        "table1.csv",
        "table1.md",
    }


def test_history_needs_a_run(experiment):
    with pytest.raises(RuntimeError, match="^there is no active MLflow run$"):
        tracking.log_history("loss", [1.0])


def test_page_is_the_list_of_runs(experiment):
    with mlflow.start_run():
        pass
    runs = f"/#/experiments/{experiment}/runs"
    assert tracking.page() == f"make mlflow, then http://127.0.0.1:5000{runs}"


def test_page_of_a_server(monkeypatch):
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: "https://runs.example.org/")
    monkeypatch.setattr(mlflow, "last_active_run", lambda: None)
    assert tracking.page() == "https://runs.example.org"
