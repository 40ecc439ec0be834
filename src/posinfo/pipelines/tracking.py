"""MLflow: the one module that knows it. kedro-mlflow opens the parent run of a `kedro run`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isnan
from typing import Any

import mlflow
import pandas as pd
from matplotlib.figure import Figure
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient
from mlflow.utils.time import get_current_time_millis

from posinfo.networks.stored_settings import flatten


@contextmanager
def child_run(name: str, settings: Mapping[str, Any]) -> Iterator[None]:
    """A run below the current one for one cell of a table.

    Args:
        name: of the run.
        settings: of the cell; nested ones become parameters of their own (``readout.lr``).
    """
    with mlflow.start_run(run_name=name, nested=True):
        mlflow.log_params(flatten(settings))
        yield


def log_metrics(metrics: Mapping[str, float]) -> None:
    """Final values of the current run; undefined ones (NaN) are left out."""
    mlflow.log_metrics({name: value for name, value in metrics.items() if not isnan(value)})


def log_history(name: str, values: list[float]) -> None:
    """A metric over epochs, counted from 1, in one write."""
    now = get_current_time_millis()
    steps = [Metric(name, value, now, step) for step, value in enumerate(values, start=1)]
    MlflowClient().log_batch(_active_run_id(), metrics=steps)


def log_figure(figure: Figure, file: str) -> None:
    """A picture among the artifacts of the current run."""
    mlflow.log_figure(figure, file)


def log_table(table: pd.DataFrame, markdown: str, name: str) -> None:
    """A table among the artifacts of the current run, as CSV and as Markdown."""
    mlflow.log_text(table.to_csv(index=False), f"{name}.csv")
    mlflow.log_text(markdown, f"{name}.md")


def end_runs(status: str = "KILLED") -> None:
    """End every open run; kedro-mlflow opens one run several times and closes it once.

    Args:
        status: ``FINISHED``, ``FAILED`` or ``KILLED``.
    """
    while mlflow.active_run() is not None:
        mlflow.end_run(status)


def page() -> str:
    """Where the runs can be seen: the list of the last run's experiment."""
    address, run = mlflow.get_tracking_uri(), mlflow.last_active_run()
    runs = f"/#/experiments/{run.info.experiment_id}/runs" if run else ""
    if address.startswith("http"):
        return address.rstrip("/") + runs
    return f"make mlflow, then http://127.0.0.1:5000{runs}"


def _active_run_id() -> str:
    run = mlflow.active_run()
    if run is None:
        raise RuntimeError("there is no active MLflow run")
    return run.info.run_id
