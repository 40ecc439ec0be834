"""Where MLflow keeps its runs: made whole or not at all, without passwords, without dead runs."""

import json
import logging
import os
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psutil
from mlflow.entities import RunStatus
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

ADDRESS, CONTEXT, PROCESS = "MLFLOW_TRACKING_URI", "MLFLOW_RUN_CONTEXT", "posinfo.process"

log = logging.getLogger(__name__)


def hide_credentials() -> None:
    """Move user and password out of the server's address, which is printed and logged.

    They go to where MLflow looks for them: ``MLFLOW_TRACKING_USERNAME`` and ``_PASSWORD``.
    """
    address = os.environ.get(ADDRESS, "")
    parts = urlsplit(address)
    if parts.scheme in ("http", "https") and parts.username is not None:
        os.environ[ADDRESS] = without_user(address)
        os.environ.setdefault("MLFLOW_TRACKING_USERNAME", unquote(parts.username))
        os.environ.setdefault("MLFLOW_TRACKING_PASSWORD", unquote(parts.password or ""))


def without_user(address: str) -> str:
    """An address without the name and password of a user."""
    return re.sub(r"://[^/]*@", "://", address)


def prepare(config: dict[str, Any]) -> None:
    """Make the database that a run needs, if it is a file, and mark the run as this process's.

    The database is made under another name and renamed, for an interrupted migration of MLflow's
    cannot be taken up again, and two that meet break each other.

    Args:
        config: what mlflow.yml says.

    Raises:
        ValueError: MLflow cannot use the database; the message says what to do.
    """
    me = json.loads(os.environ.get(CONTEXT, "{}")) | {PROCESS: _process(os.getpid())}
    os.environ[CONTEXT] = json.dumps(me)  # tags of every run, from its first moment
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # a run ends with a line of ours
    address = str(config["server"]["mlflow_tracking_uri"])
    if not address.startswith("sqlite"):
        return
    file = Path(make_url(address).database or "")
    if not file.exists():
        _make(file, config["tracking"]["experiment"])
    try:
        MlflowClient(address).search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError) as error:
        raise ValueError(
            f"MLflow cannot use its database {file}: {str(error).splitlines()[0]} If another "
            f"version of MLflow has made it, copy it and run `mlflow db upgrade {address}`; "
            "otherwise move it away. Results do not depend on it"
        ) from error


def end_dead_runs(experiment: str) -> None:
    """End the runs of processes of this host that are no more, and the cells below them.

    Args:
        experiment: the id of MLflow's experiment.
    """
    client = MlflowClient()
    open_runs = client.search_runs([experiment], "attributes.status = 'RUNNING'")
    dead = {run.info.run_id for run in open_runs if _is_dead(run.data.tags.get(PROCESS, ""))}
    for run in open_runs:
        if run.info.run_id in dead or run.data.tags.get(MLFLOW_PARENT_RUN_ID) in dead:
            client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED))


def _make(file: Path, experiment: dict[str, Any]) -> None:
    logging.getLogger("mlflow.store").setLevel(logging.WARNING)
    for left in file.parent.glob(f".{file.name}.*"):
        if not psutil.pid_exists(int(left.name.rpartition(".")[2])):
            left.unlink(missing_ok=True)
    new = file.with_name(f".{file.name}.{os.getpid()}")
    artifacts = experiment["create_experiment_kwargs"]["artifact_location"]
    location = Path(artifacts).resolve().as_uri() if artifacts else None
    try:
        MlflowClient(f"sqlite:///{new}").create_experiment(experiment["name"], location)
        os.link(new, file)
    except FileExistsError:  # of a run that began at the same time
        log.debug("another process has made %s", file)
    finally:
        new.unlink(missing_ok=True)


def _process(pid: int) -> str:
    """A process of this host; a later one of the same number began at another time."""
    return f"{socket.gethostname()} {pid} {psutil.Process(pid).create_time():.0f}"


def _is_dead(process: str) -> bool:
    host, _, rest = process.partition(" ")
    if host != socket.gethostname():
        return False
    pid = int(rest.partition(" ")[0])
    return not psutil.pid_exists(pid) or _process(pid) != process
