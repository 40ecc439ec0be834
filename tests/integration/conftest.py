import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from copy import deepcopy
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from kedro.config import OmegaConfigLoader
from PIL import Image

from posinfo.experiment import Experiment
from posinfo.pipelines.requests import Request
from posinfo.settings import CONFIG_LOADER_ARGS
from tests.conftest import PROJECT
from tests.integration.forked import Fork, run_module

CONFIG = "--config=run.yml"
PARENT = "mlflow.parentRunId"
VARIABLES = {"COLUMNS": "400", "DO_NOT_TRACK": "1"}


class Copy:
    """A copy of the project in a folder of its own, driven as a user drives it.

    Args:
        root: that folder; what is already there stays.
        data: a project whose results are copied, too.
    """

    result: subprocess.CompletedProcess[str]

    def __init__(self, root: Path, data: "Copy | None" = None) -> None:
        self.root = root
        if (root / "src").exists():
            return
        if data is not None:
            shutil.copytree(data.root / "data", root / "data", symlinks=True)
            for database in data.root.glob("optuna.db"):
                shutil.copy(database, root)
        for name in ("conf", "docs", "src"):
            ignored = shutil.ignore_patterns("__pycache__", "local")
            shutil.copytree(PROJECT / name, root / name, ignore=ignored)
        shutil.copy(PROJECT / "pyproject.toml", root)
        self._give_database()

    def _give_database(self) -> None:
        """What the first run would make in five seconds: MLflow's database with no run in it."""
        file = self.root / "mlflow.db"
        file.write_bytes(empty_database())
        with closing(sqlite3.connect(file)) as database, database:
            location = ((self.root / "mlartifacts").resolve().as_uri(), "posinfo")
            update = "UPDATE experiments SET artifact_location = ? WHERE name = ?"
            assert database.execute(update, location).rowcount == 1

    def kedro(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, **VARIABLES, **environment}
        return run_module("kedro", *arguments, folder=self.root, environment=variables)

    def start(self, *arguments: str, said: str | Path = os.devnull, **environment: str) -> Fork:
        """A run that goes on beside the test; it says all in one file."""
        return Fork(
            "kedro", "run", "--env=test", *arguments, folder=self.root, said=(said, said),
            environment={**os.environ, **VARIABLES, **environment},
        )  # fmt: skip

    def run_afresh(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """As ``run``, in an interpreter of its own: what it does not import is missing."""
        return subprocess.run(
            [sys.executable, "-m", "kedro", "run", "--env=test", *arguments],
            cwd=self.root, env={**os.environ, **VARIABLES}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.kedro("run", "--env=test", *arguments, **environment)

    def done(self, *arguments: str, **environment: str) -> str:
        """What a run that must succeed has said."""
        result = self.run(*arguments, **environment)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def failed(self, *arguments: str) -> str:
        """What a run that must fail has said, in one line."""
        result = self.run(*arguments)
        assert result.returncode != 0, result.stdout
        return " ".join((result.stdout + result.stderr).split())

    def configure(self, parameters: str) -> None:
        """Parameters of the following runs with ``CONFIG``."""
        (self.root / "run.yml").write_text(f"run:\n  params:\n    {parameters.strip()}\n")

    def read(self, path: str) -> bytes:
        return (self.data / path).read_bytes()

    def reports(self, experiment: str) -> Path:
        return self.data / "08_reporting" / experiment

    def stored(self, pattern: str) -> dict[str, bytes]:
        """Files of the store by path."""
        store = self.data / "store"
        return {
            path.relative_to(store).as_posix(): path.read_bytes() for path in store.glob(pattern)
        }

    def mlflow_runs(self) -> list[mlflow.entities.Run]:
        client = self.mlflow()
        return client.search_runs([client.get_experiment_by_name("posinfo").experiment_id])

    def children(self, name: str) -> dict[str, mlflow.entities.Run]:
        """MLflow runs of the cells of the one run of a pipeline, by name."""
        runs = self.mlflow_runs()
        (parent,) = [r for r in runs if PARENT not in r.data.tags and r.info.run_name == name]
        below = [run for run in runs if run.data.tags.get(PARENT) == parent.info.run_id]
        names = [run.info.run_name for run in below]
        assert len(set(names)) == len(names)
        assert {run.info.status for run in runs} == {"FINISHED"}
        return dict(zip(names, below, strict=True))

    def mlflow(self) -> mlflow.MlflowClient:
        return mlflow.MlflowClient(f"sqlite:///{self.root}/mlflow.db")

    @property
    def data(self) -> Path:
        return self.root / "data" / "test"


@cache
def empty_database() -> bytes:
    """Of MLflow, with the experiment of the project."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "mlflow.db"
        mlflow.MlflowClient(f"sqlite:///{file}").create_experiment("posinfo")
        return file.read_bytes()


def merged(environment: str) -> dict[str, Any]:
    """All parameters of an environment."""
    return deepcopy(_loaded(environment))


@cache
def _loaded(environment: str) -> dict[str, Any]:
    arguments = {**CONFIG_LOADER_ARGS, "default_run_env": environment}
    return OmegaConfigLoader(str(PROJECT / "conf"), **arguments)["parameters"]


def to_compute(said: str, experiment: str) -> str:
    """The part of a log that says how many cells of each step are computed."""
    (line,) = re.findall(rf"{experiment}: to compute: (.*?)\s*(?:hooks\.py:\d+)?\n", said)
    return line.strip()


def computed(said: str) -> list[str]:
    """Step and label of each cell that was computed, in order."""
    return [
        f"{step}/{label}" for step, label in re.findall(r"(\w+) \d+/\d+: (\S+) in [\d.]+ s", said)
    ]


def assert_pictures(project: Copy, experiment: Experiment, *names: str) -> None:
    """The pictures have these names, and each is what is drawn of the results in the store."""
    parameters = {**merged("test"), "store": str(project.data / "store")}
    request = Request.of(experiment, parameters)
    results = {
        step: {label: request.store.open(cell.key) for label, cell in request.plan[step].items()}
        for step in experiment.report_steps
    }
    published = pd.read_csv(PROJECT / "src/posinfo/measures/published.csv")
    figures = experiment.report(request.settings, results, published).figures
    folder = project.reports(experiment.name)
    assert {path.stem for path in folder.glob("*.png")} == set(figures) == set(names)
    for name, figure in figures.items():
        expected, found = BytesIO(), np.asarray(Image.open(folder / f"{name}.png"))
        figure.draw_without_rendering()
        figure.savefig(expected, format="png")
        np.testing.assert_array_equal(found, np.asarray(Image.open(expected)), err_msg=name)
        assert found.std() > 10, name


def assert_no_warning_is_ours(said: str) -> None:
    assert [line for line in said.splitlines() if "Warning" in line and "posinfo" in line] == []


@pytest.fixture
def project(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[..., Copy]:
    """A project in which a pipeline alone has been run once, by its name; only read it.

    More arguments are of the command line.

    The processes that run the tests share it: the first that needs it makes it.
    """
    own = tmp_path_factory.getbasetemp()
    shared = (own if worker_id == "master" else own.parent) / "finished"
    shared.mkdir(exist_ok=True)

    @cache
    def run(pipeline: str, *arguments: str) -> Copy:
        name = re.sub(r"\W+", "-", " ".join([pipeline, *arguments]))
        root, said = shared / name, shared / f"{name}.json"
        with FileLock(f"{root}.lock"):
            if not said.exists():
                shutil.rmtree(root, ignore_errors=True)
                # which uses features of posenet
                base = run("posenet") if pipeline == "posenet_ablations" else None
                made = Copy(root, base)
                if pipeline == "posenet":  # as on the first day: imports and database of its own
                    (root / "mlflow.db").unlink()
                    result = made.run_afresh(f"--pipeline={pipeline}", *arguments)
                else:
                    result = made.run(f"--pipeline={pipeline}", *arguments)
                assert result.returncode == 0, result.stdout + result.stderr
                said.write_text(json.dumps([result.stdout, result.stderr]))
        copy = Copy(root)
        copy.result = subprocess.CompletedProcess([], 0, *json.loads(said.read_text()))
        return copy

    return run
