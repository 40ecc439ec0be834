import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import mlflow
import psutil
import pytest

from posinfo.pipelines.processes import this_host
from posinfo.pipelines.tracking_store import (
    end_dead_runs,
    hide_credentials,
    prepare,
    without_user,
)
from tests.conftest import PROJECT
from tests.integration.forked import Fork

VARIABLES = (
    "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_RUN_CONTEXT", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT",
)  # fmt: skip


MAKE = """
from tests.pipelines.test_tracking_store import config, prepare
prepare(config("sqlite:///mlflow.db"))
"""


def config(address):
    kwargs = {"artifact_location": "artifacts"}
    experiment = {"name": "posinfo", "create_experiment_kwargs": kwargs}
    return {"server": {"mlflow_tracking_uri": address}, "tracking": {"experiment": experiment}}


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a database, made by two processes that began at once."""
    folder, code = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("code")
    (code / "makes.py").write_text(MAKE)
    paths = {"PYTHONPATH": os.pathsep.join(map(str, (code, PROJECT, PROJECT / "src")))}
    said = code / "said.txt"
    both = [
        Fork("makes", folder=folder, said=(said, said), environment={**os.environ, **paths})
        for _ in range(2)
    ]
    assert [process.wait() for process in both] == [0, 0], said.read_text()
    return folder


@pytest.fixture
def client(made):
    return mlflow.MlflowClient(f"sqlite:///{made}/mlflow.db")


def test_two_processes_that_begin_at_once_make_one_database(made, client):
    assert [path.name for path in made.iterdir()] == ["mlflow.db"]
    experiment = client.get_experiment_by_name("posinfo")
    assert experiment.artifact_location == (made / "artifacts").as_uri()


def test_what_a_killed_process_left_is_removed_and_never_taken(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = os.uname().nodename
    for process in (f"{host}.{dead.pid}", f"{host}.1", f"elsewhere.{dead.pid}"):
        folder = tmp_path / f".mlflow.db.{process}-x1y2"
        folder.mkdir()
        (folder / "mlflow.db").write_text("half a migration")
        (folder / "mlflow.db-journal").write_text("of it")
    prepare(config("sqlite:///mlflow.db"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f".mlflow.db.{host}.1-x1y2", f".mlflow.db.elsewhere.{dead.pid}-x1y2", "mlflow.db",
    ] or host > "elsewhere"  # fmt: skip
    assert not (tmp_path / f".mlflow.db.{host}.{dead.pid}-x1y2").exists()


def test_what_mlflow_yml_leaves_out_is_left_to_kedro_mlflow(tmp_path):
    prepare({})
    assert list(tmp_path.iterdir()) == []
    prepare({"server": {"mlflow_tracking_uri": f"sqlite:///{tmp_path}/runs.db"}})
    assert [path.name for path in tmp_path.iterdir()] == ["runs.db"]


@pytest.mark.parametrize("damage", ["half migrated", "no database", "read-only"])
def test_database_that_cannot_be_used_is_named_with_the_remedy(tmp_path, monkeypatch, damage):
    file = tmp_path / "mlflow.db"
    if damage == "half migrated":
        with sqlite3.connect(file) as database:
            database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
            database.execute("CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY)")
    elif damage == "read-only":  # whoever runs the tests, root among them
        connect = sqlite3.connect
        monkeypatch.setattr(
            sqlite3, "connect", lambda path, **_: connect(f"file:{path}?mode=ro", uri=True)
        )
        file.touch()
    else:
        file.write_text("no database " * 1000)
    before = file.read_bytes()
    with pytest.raises(ValueError) as raised:
        prepare(config(f"sqlite:///{file}"))
    said = str(raised.value)
    assert said.startswith(f"MLflow cannot use its database {file}: ")
    assert said.endswith(
        f"`mlflow db upgrade sqlite:///{file}`; otherwise make it writable, "
        "or move it away. Results do not depend on it"
    )
    assert "\n" not in said
    assert file.read_bytes() == before or damage == "half migrated"


def test_a_server_keeps_its_own_database(tmp_path):
    prepare(config("http://127.0.0.1:9"))
    assert list(tmp_path.iterdir()) == []


def test_runs_of_dead_processes_are_ended_and_no_others(client, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "unused")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(client.tracking_uri)
    experiment = client.get_experiment_by_name("posinfo").experiment_id
    dead = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    host = this_host()
    began = f"{psutil.Process(dead.pid).create_time():.0f}"
    dead.communicate(b"\n")
    me = psutil.Process()
    mine = f"{host} {me.pid} {me.create_time():.0f}"
    runs = {
        "killed": {"posinfo.process": f"{host} {dead.pid} {began}"},
        "number of another process by now": {"posinfo.process": f"{host} {me.pid} 1"},
        "mine": {"posinfo.process": mine},
        "of another host": {"posinfo.process": f"elsewhere {dead.pid} {began}"},
        "of another program": {},
    }
    made = {name: client.create_run(experiment, tags=tags) for name, tags in runs.items()}
    below = client.create_run(
        experiment, tags={"mlflow.parentRunId": made["killed"].info.run_id}
    ).info.run_id
    try:
        end_dead_runs(experiment)
    finally:
        mlflow.set_tracking_uri(before)
    status = {name: client.get_run(run.info.run_id).info.status for name, run in made.items()}
    ended = {name for name, each in status.items() if each == "KILLED"}
    assert ended == {"killed", "number of another process by now"}
    assert client.get_run(below).info.status == "KILLED"
    assert set(status.values()) == {"KILLED", "RUNNING"}


def test_every_run_knows_its_process_from_its_first_moment(client, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_CONTEXT", '{"team": "vision"}')
    before = mlflow.get_tracking_uri()
    prepare(config(client.tracking_uri))
    mlflow.set_tracking_uri(client.tracking_uri)
    try:
        with mlflow.start_run(experiment_id="0") as run:
            pass
    finally:
        mlflow.set_tracking_uri(before)
    assert run.data.tags["team"] == "vision"
    assert run.data.tags["posinfo.process"].split()[:2] == [this_host(), str(os.getpid())]


def test_user_and_password_go_where_mlflow_looks_for_them(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:p%40ss@host:5000/path")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "")
    monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    hide_credentials()
    assert os.environ["MLFLOW_TRACKING_URI"] == "https://host:5000/path"
    assert os.environ["MLFLOW_TRACKING_USERNAME"] == "me"
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "p@ss"


@pytest.mark.parametrize(
    ("address", "left", "password"),
    [
        ("postgresql://me:p%40ss@host:5432/runs", "postgresql://host:5432/runs", "p@ss"),
        ("postgresql+psycopg2://me:p/s#s?@host/runs", "postgresql+psycopg2://host/runs", "p/s#s?"),
        ("postgresql://me@host/runs", "postgresql://host/runs", "kept"),
        (
            "postgresql://host/runs?user=me&password=pw&sslmode=require",
            "postgresql://host/runs?sslmode=require",
            "pw",
        ),
    ],
)
def test_user_and_password_of_postgresql_go_where_its_client_looks_for_them(
    monkeypatch, address, left, password
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("PGUSER", "another")  # the address goes before it
    monkeypatch.setenv("PGPASSWORD", "kept")
    hide_credentials()
    assert os.environ["MLFLOW_TRACKING_URI"] == left
    assert (os.environ["PGUSER"], os.environ["PGPASSWORD"]) == ("me", password)
    assert "MLFLOW_TRACKING_USERNAME" not in os.environ


@pytest.mark.parametrize(
    "address",
    [
        "",
        "http://host:5000",
        "http://host/me@home",
        "sqlite:///mlflow.db",
        "sqlite:///me@home/a.db",
        "postgresql://host/runs",
    ],
)
def test_addresses_without_a_user_stay_as_they_are(monkeypatch, address):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    hide_credentials()
    assert os.environ["MLFLOW_TRACKING_URI"] == address == without_user(address)
    assert "MLFLOW_TRACKING_USERNAME" not in os.environ


def test_database_lies_where_its_address_says(tmp_path):
    (tmp_path / "there").mkdir()
    prepare(config(f"sqlite:///{tmp_path}/there/runs.db"))
    assert Path("there/runs.db").is_file()
