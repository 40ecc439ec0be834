"""Where MLflow keeps its runs: made whole or not at all, without passwords, without dead runs."""

import json
import logging
import os
import re
import shutil
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

import psutil
from mlflow.entities import RunStatus
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from posinfo.pipelines.processes import is_dead, this_process

ADDRESS, CONTEXT, PROCESS = "MLFLOW_TRACKING_URI", "MLFLOW_RUN_CONTEXT", "posinfo.process"
LIBPQ = ("postgresql", "postgresql+psycopg", "postgresql+psycopg2")  # read libpq's variables
USER = ("user", "password")  # in the query of a PostgreSQL address
LOCKED = 60  # seconds to wait for another run that writes into the database

log = logging.getLogger(__name__)


def hide_credentials() -> None:
    """Move user and password out of the server's address, which is printed and logged.

    They go to where MLflow looks for them, ``MLFLOW_TRACKING_USERNAME`` and ``_PASSWORD``; those of
    a PostgreSQL database to where its client library does, ``PGUSER`` and ``PGPASSWORD``.
    """
    address = os.environ.get(ADDRESS, "")
    scheme = address.partition("://")[0]
    if scheme in ("http", "https") and (parts := urlsplit(address)).username is not None:
        os.environ[ADDRESS] = without_user(address)
        os.environ.setdefault("MLFLOW_TRACKING_USERNAME", unquote(parts.username or ""))
        os.environ.setdefault("MLFLOW_TRACKING_PASSWORD", unquote(parts.password or ""))
    if scheme in LIBPQ:
        url = make_url(address)
        said = {"PGUSER": url.username, "PGPASSWORD": url.password}
        said |= {f"PG{name.upper()}": url.query[name] for name in USER if name in url.query}
        os.environ |= {name: str(value) for name, value in said.items() if value is not None}
        bare = url.difference_update_query(USER)._replace(username=None, password=None)
        os.environ[ADDRESS] = bare.render_as_string()


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
    me = json.loads(os.environ.get(CONTEXT, "{}")) | {PROCESS: this_process()}
    os.environ[CONTEXT] = json.dumps(me)  # tags of every run, from its first moment
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # a run ends with a line of ours
    address = str(config.get("server", {}).get("mlflow_tracking_uri", ""))
    file = Path(make_url(address).database or "") if address.startswith("sqlite") else Path()
    if not file.name:
        return
    try:
        if not file.exists():
            _make(file, config.get("tracking", {}).get("experiment", {}))
        _require_writable(file)
        MlflowClient(address).search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, sqlite3.Error) as error:
        raise ValueError(
            f"MLflow cannot use its database {file}: {str(error).splitlines()[0]}. If another "
            f"version of MLflow has made it, copy it and run `mlflow db upgrade {address}`; "
            "otherwise make it writable, or move it away. Results do not depend on it"
        ) from error


def _require_writable(file: Path) -> None:
    with closing(sqlite3.connect(file, timeout=LOCKED)) as database:
        database.execute("BEGIN IMMEDIATE")
        database.execute("CREATE TABLE posinfo_may_write (number)")
        database.rollback()


def end_dead_runs(experiment: str) -> None:
    """End the runs of processes of this host that are no more, and the cells below them.

    Args:
        experiment: the id of MLflow's experiment.
    """
    client = MlflowClient()
    open_runs = client.search_runs([experiment], "attributes.status = 'RUNNING'")
    dead = {run.info.run_id for run in open_runs if is_dead(run.data.tags.get(PROCESS, ""))}
    for run in open_runs:
        if run.info.run_id in dead or run.data.tags.get(MLFLOW_PARENT_RUN_ID) in dead:
            client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED))


def _make(file: Path, experiment: dict[str, Any]) -> None:
    """Make a database in a folder of this process's, and give it its name in one step."""
    logging.getLogger("mlflow.store").setLevel(logging.WARNING)
    here = f".{file.name}.{socket.gethostname()}."
    for left in file.parent.glob(f"{here}*"):
        pid = left.name.removeprefix(here).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    artifacts = experiment.get("create_experiment_kwargs", {}).get("artifact_location")
    location = Path(artifacts).resolve().as_uri() if artifacts else None
    with TemporaryDirectory(prefix=f"{here}{os.getpid()}-", dir=file.parent.resolve()) as folder:
        new = Path(folder) / file.name
        client = MlflowClient(f"sqlite:///{new}")
        client.create_experiment(experiment.get("name", "posinfo"), location)
        try:
            os.link(new, file)
        except FileExistsError:  # of a run that began at the same time
            log.debug("another process has made %s", file)
        except OSError:  # a file system without links
            new.rename(file)
