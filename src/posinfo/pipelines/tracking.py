"""What MLflow is told. kedro-mlflow opens the parent run of a `kedro run`."""

import subprocess
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

import mlflow
import pandas as pd
from matplotlib.figure import Figure
from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_SOURCE_NAME
from mlflow.utils.time import get_current_time_millis

from posinfo.pipelines.tracking_store import end_dead_runs, without_user
from posinfo.plan import flatten

LONGEST, AT_ONCE = 6000, 900  # letters of a parameter; metrics in one write, at most 1,000


def log_cell(
    name: str,
    parameters: Mapping[str, Any],
    metrics: Mapping[str, float],
    history: Mapping[str, Sequence[float]],
    picture: Figure | None = None,
    files: Path | None = None,
    tags: Mapping[str, str] | None = None,
    failed: bool = False,
) -> None:
    """A run below the current one for one cell or trial; nothing where no run is open.

    Nested parameters become parameters of their own (``readout.lr``). Undefined metrics (NaN) are
    left out; values of the history belong to epochs, counted from 1. ``files`` is a folder of
    artifacts; ``failed`` says how what is logged has ended.
    """
    parent = mlflow.active_run()
    if parent is None:
        return
    client = MlflowClient()
    about = {MLFLOW_PARENT_RUN_ID: parent.info.run_id, MLFLOW_RUN_NAME: name, **_origin()}
    run = client.create_run(parent.info.experiment_id, tags={**about, **(tags or {})}).info.run_id
    now = get_current_time_millis()
    values = [Metric(key, value, now, 0) for key, value in metrics.items() if isfinite(value)]
    values += [
        Metric(key, value, now, epoch)
        for key, curve in history.items()
        for epoch, value in enumerate(curve, start=1)
        if isfinite(value)
    ]
    params = [Param(key, str(value)[:LONGEST]) for key, value in flatten(parameters).items()]
    status = "FAILED"
    try:
        client.log_batch(run, params=params)
        for start in range(0, len(values), AT_ONCE):
            client.log_batch(run, metrics=values[start : start + AT_ONCE])
        if picture is not None:
            client.log_figure(run, picture, "picture.png")
        if files is not None:
            client.log_artifacts(run, str(files))
        status = "FAILED" if failed else "FINISHED"
    finally:
        client.set_terminated(run, status)


def metrics_of(rows: pd.DataFrame | None) -> dict[str, float]:
    """The float columns of rows, averaged over all rows whose texts agree.

    Where texts differ from row to row, they are part of a metric's name: ``spc_photos_gaussian``.
    """
    if rows is None or rows.empty:
        return {}
    texts = [str(n) for n in rows.select_dtypes(["str", "object"]) if len(set(rows[n])) > 1]
    floats = [str(name) for name in rows.select_dtypes("float")]
    values: dict[str, list[float]] = {}
    for row in rows.to_dict("records"):
        for name in floats:
            key = "_".join([name, *(str(row[text]) for text in texts)])
            values.setdefault(key, []).append(row[name])
    return {key: fmean(numbers) for key, numbers in values.items()}


def begin() -> None:
    """End what processes that were killed have left open in the experiment of the current run."""
    run = mlflow.active_run()
    if run is not None:
        end_dead_runs(run.info.experiment_id)


def log_files(folder: Path) -> None:
    """The files of a folder, among the artifacts of the current run; nothing where none is open."""
    if mlflow.active_run() is not None:  # or MLflow would open one
        mlflow.log_artifacts(str(folder))


def log_texts(texts: Mapping[str, str], pictures: Mapping[str, Figure]) -> None:
    """Files by name and pictures by name without suffix; nothing where no run is open."""
    if mlflow.active_run() is None:
        return
    for name, text in texts.items():
        mlflow.log_text(text, name)
    for name, picture in pictures.items():
        mlflow.log_figure(picture, f"plots/{name}.png")


def end_runs(status: str = "KILLED") -> None:
    """End every open run; kedro-mlflow opens one run several times and closes it once."""
    while mlflow.active_run() is not None:
        mlflow.end_run(status)


def page() -> str:
    """Where the runs can be seen: the list of the last run's experiment."""
    address, run = without_user(mlflow.get_tracking_uri()), mlflow.last_active_run()
    runs = f"/#/experiments/{run.info.experiment_id}/runs" if run else ""
    if address.startswith("http"):
        return address.rstrip("/") + runs
    clone = Path("Makefile").is_file()
    command = "make mlflow" if clone else f"mlflow ui --backend-store-uri={address}"
    return f"{command}, then http://127.0.0.1:5000{runs}"


@lru_cache(maxsize=1)
def _origin() -> dict[str, str]:
    """The commit of the code, where it is a clone."""
    git = ["git", "rev-parse", "HEAD"]
    found = subprocess.run(git, capture_output=True, text=True, check=False)
    commit = {"commit": found.stdout.strip()} if found.returncode == 0 else {}
    return {MLFLOW_SOURCE_NAME: "posinfo", **commit}
