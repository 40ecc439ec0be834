import logging
import os
import re

import pandas as pd
import pytest
import yaml
from kedro.config import OmegaConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.hooks.manager import _NullPluginManager
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro_datasets.pandas import CSVDataset
from kedro_datasets.text import TextDataset
from pydantic import BaseModel

from posinfo import hooks
from posinfo.experiment import Cell, Experiment, Report, Result, Step
from posinfo.experiments import EXPERIMENTS
from posinfo.hooks import ReportHooks, RequestHooks, TrackingHooks
from posinfo.pipelines import tracking
from posinfo.pipelines.datasets import ResultsDataset, TableFile
from posinfo.pipelines.factory import create_pipeline
from posinfo.pipelines.reports import make_report
from posinfo.pipelines.requests import Request, forget_plans
from posinfo.pipelines.sweep_pipeline import create_sweep
from tests.pipelines import searched


class Section(BaseModel):
    size: int = 8
    labels: tuple[str, ...] = ("a", "b")


class Settings(BaseModel):
    tiny: Section


HERE = r"\(.*test_hooks.py:\d+\)"  # of code that is no package's


class ImagesCell(Cell):
    size: int

    def check(self) -> None:
        if self.size == 0:
            raise FileNotFoundError("folder of photographs is missing")


class NetworkCell(Cell):
    name: str
    size: int

    def check(self) -> None:
        if self.size < 3 and self.name == "b":
            raise ValueError(f"size {self.size} is too small")


def images(settings):
    return {"all": ImagesCell(size=settings.tiny.size)}


def networks(settings):
    section = settings.tiny
    inputs = {"images": "images/all"}
    return {n: NetworkCell(name=n, size=section.size, inputs=inputs) for n in section.labels}


def run(cell, inputs, work):
    raise AssertionError("no node may run")


def report(settings, results, published):
    rows = pd.DataFrame({"networks": [len(results["train"])]})
    return Report({"scores": rows}, {"summary": "a text"}, {})


PUBLISHED = pd.DataFrame({"value": [0.5]})


def made(name):
    steps = (
        Step("images", "data_preparation", images, run),
        Step("train", "modeling", networks, run),
    )
    return Experiment(name, Settings, steps, report, ("scores",), ("summary",))


TINY, OTHER = made("tiny"), made("tiny_too")


@pytest.fixture
def registered(monkeypatch):
    pipelines = {each.name: create_pipeline(each) for each in (TINY, OTHER)}
    monkeypatch.setattr(hooks, "EXPERIMENTS", {each.name: each for each in (TINY, OTHER)})
    monkeypatch.setattr(hooks, "pipelines", pipelines)
    forget_plans()
    yield pipelines
    forget_plans()


class Session:
    """What Kedro calls before it runs the first node."""

    def __init__(self, folder, pipelines):
        self.folder, self.pipelines, self.catalog = folder, pipelines, None

    def parameters(self, **section):
        return {
            "tiny": section,
            "device": "cpu",
            "precision": "float32",
            "parallel": {"n_jobs": 1, "threads_per_job": 1},
            "store": str(self.folder / "store"),
        }

    def start(self, pipeline=None, more=None, **section):
        parameters = {**self.parameters(**section), **(more or {})}
        entries = {
            "parameters": MemoryDataset(parameters),
            "published_numbers": MemoryDataset(PUBLISHED),
        }
        for each in (TINY, OTHER):
            for step, kind in (("images", "prepared"), ("train", "modeled")):
                path = str(self.folder / each.name / step)
                entries[f"{each.name}.{step}_{kind}"] = ResultsDataset(filepath=path)
            path = str(self.folder / each.name / "scores.csv")
            entries[f"{each.name}.scores_table"] = TableFile(filepath=path)
            entries[f"{each.name}.summary_text"] = MemoryDataset()
        self.catalog = DataCatalog(entries)
        pipeline = self.pipelines["tiny"] if pipeline is None else pipeline
        RequestHooks().before_pipeline_run(pipeline=pipeline, catalog=self.catalog)

    def request(self, experiment=TINY, **section):
        return Request.of(experiment, self.parameters(**section))


@pytest.fixture
def session(tmp_path, registered):
    return Session(tmp_path, registered)


def finish(request, *names):
    for name in names:
        step, _, label = name.partition("/")
        cell = request.plan[step][label]
        request.store.add(cell.key, cell.identity, lambda folder: Result())


def test_unknown_top_level_parameter_is_refused(session):
    with pytest.raises(ValueError) as raised:
        session.start(more={"tyny": {"size": 3}})
    assert str(raised.value) == (
        "parameter must be one of device, parallel, precision, store, tiny; got 'tyny' "
        "(did you mean 'tiny'?)"
    )


def test_parameters_that_others_refer_to_are_no_settings(session):
    session.start(more={"_shared": {"size": 3}})


def test_parameter_of_any_registered_pipeline_is_known(session, registered):
    registered["elsewhere"] = Pipeline([Node(abs, "params:elsewhere.size", "out", name="n")])
    session.start(more={"elsewhere": {"size": 3}})


def test_cell_that_cannot_be_run_is_refused_before_any_node(session):
    with pytest.raises(ValueError) as raised:
        session.start(size=2)
    assert re.fullmatch(f"tiny: b: ValueError: size 2 is too small {HERE}", str(raised.value))


def test_cell_that_lacks_a_file_is_refused(session):
    with pytest.raises(ValueError, match="^tiny: all: FileNotFoundError: folder of"):
        session.start(size=0)


def test_cell_that_has_its_result_is_not_asked(session):
    finish(session.request(size=2), "train/b")
    session.start(size=2)
    with pytest.raises(ValueError, match="^tiny: b: ValueError: size 1 is too small"):
        session.start(size=1)


def test_cell_of_a_step_that_is_not_run_is_not_asked(session, registered):
    images_alone = registered["tiny"].filter(node_names=["tiny.images"])
    session.start(images_alone, size=2)
    with pytest.raises(ValueError, match="^tiny: b: ValueError: size 2 is too small"):
        session.start(registered["tiny"].filter(node_names=["tiny.train"]), size=2)


def test_experiment_that_is_not_run_is_not_asked(session, registered):
    with pytest.raises(ValueError, match="^tiny_too: b: ValueError: size 2"):
        session.start(registered["tiny_too"], size=2)


def test_log_says_what_is_to_be_computed(session, registered, caplog):
    finish(session.request(), "train/a")
    with caplog.at_level(logging.INFO, hooks.__name__):
        session.start()
        session.start(registered["tiny"].filter(node_names=["tiny.train"]), labels=("a", "c", "d"))
        session.start(registered["tiny"].filter(node_names=["tiny.report"]))
        finish(session.request(), "images/all", "train/b")
        session.start(registered["tiny"] + registered["tiny_too"])
    assert [record.message for record in caplog.records if record.name == hooks.__name__] == [
        "tiny: to compute: images 1 of 1, train 1 of 2",
        "tiny: to compute: train 2 of 3",
        "tiny: to compute: images 0 of 1, train 0 of 2",
        "tiny_too: to compute: images 1 of 1, train 2 of 2",
    ]


def test_catalog_learns_which_results_are_those_of_today(session):
    session.start(labels=("a",))
    plan = session.request(labels=("a",)).plan
    dataset = session.catalog.get("tiny.train_modeled")
    assert dataset.expected == {"a": plan["train"]["a"].key}
    finish(session.request(labels=("a",)), "train/a")
    dataset.save({"a": str(session.request().store.path(plan["train"]["a"].key))})
    assert dataset.exists()
    session.start(labels=("a",), size=9)
    assert not session.catalog.get("tiny.train_modeled").exists()
    assert session.catalog.get("tiny_too.train_modeled").expected is None


def test_catalog_learns_which_tables_are_those_of_today(session):
    def table():
        session.start()
        return session.catalog.get("tiny.scores_table")

    assert not table().exists()
    finish(session.request(), "images/all", "train/a", "train/b")
    table().save(b"networks\n2\n")
    assert not table().exists()  # it may be another's: there is no report
    content, _ = make_report(session.request(), [PUBLISHED])
    assert content == b"networks\n2\n" and table().exists()
    table().save(b"networks\n3\n")
    assert not table().exists()
    assert session.catalog.get("tiny_too.scores_table").expected is None


def test_plans_are_made_anew_for_each_run(session):
    session.start()
    before = session.request().plan
    assert session.request().plan is before
    session.start()
    assert session.request().plan is not before


@pytest.mark.parametrize(
    ("event", "status"), [("on_pipeline_error", "FAILED"), ("after_pipeline_run", "FINISHED")]
)
def test_parent_run_ends_as_the_pipeline_did(monkeypatch, event, status):
    ended = []
    monkeypatch.setattr(tracking, "end_runs", lambda *status: ended.append(status))
    getattr(TrackingHooks(), event)()
    assert ended == [(status,)]


def test_interrupted_run_is_ended_when_python_exits(monkeypatch):
    registered = []
    monkeypatch.setattr(hooks.atexit, "register", registered.append)
    TrackingHooks().before_pipeline_run()
    assert registered == [tracking.end_runs]


def test_run_ends_with_its_texts_and_the_paths_of_its_reports(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tracking, "page", lambda: "http://runs")
    folder = tmp_path / "data" / "08_reporting" / "tiny"
    text = TextDataset(filepath=str(folder / "table.md"))
    text.save("| a long table |" + " x" * 200)
    table = CSVDataset(filepath=str(folder / "scores.csv"))
    table.save(pd.DataFrame({"a": [1]}))
    elsewhere = CSVDataset(filepath=str(tmp_path / "elsewhere.csv"))
    catalog = DataCatalog({"b_text": text, "a_table": table, "c": elsewhere})
    pipeline = Pipeline([Node(list, None, ["a_table", "b_text", "c"], name="n")])
    ReportHooks().after_pipeline_run(run_params={}, pipeline=pipeline, catalog=catalog)
    assert capsys.readouterr().out.splitlines() == [
        "| a long table |" + " x" * 200,
        "data/08_reporting/tiny/scores.csv",
        "data/08_reporting/tiny/table.md",
        "MLflow: http://runs",
    ]


def test_run_without_reports_ends_silently(capsys):
    catalog = DataCatalog({"a": MemoryDataset(1)})
    pipeline = Pipeline([Node(list, None, "a", name="n")])
    ReportHooks().after_pipeline_run(run_params={}, pipeline=pipeline, catalog=catalog)
    assert capsys.readouterr().out == ""


def credentials(folder, monkeypatch, values):
    (folder / "conf/base").mkdir(parents=True)
    (folder / "conf/local").mkdir()
    if values is not None:
        (folder / "conf/local/credentials.yml").write_text(yaml.safe_dump(values))
    monkeypatch.setenv("PGUSER", "of the shell")
    monkeypatch.setenv("PGPASSWORD", "")  # so that it is as before when the test ends
    monkeypatch.delenv("PGPASSWORD")
    loader = OmegaConfigLoader(str(folder / "conf"), base_env="base", default_run_env="local")
    hooks._take_credentials(KedroContext(folder, loader, None, "posinfo", _NullPluginManager()))
    return os.environ["PGUSER"], os.environ.get("PGPASSWORD")


@pytest.mark.parametrize(
    ("values", "password"),
    [
        (None, None),
        ({}, None),
        ({"environment": None}, None),
        ({"other": {"PGPASSWORD": "not this one"}}, None),
        ({"environment": {"PGUSER": "of the file", "PGPASSWORD": 123}}, "123"),
    ],
)
def test_credentials_are_taken_where_the_environment_has_none(
    tmp_path, monkeypatch, values, password
):
    assert credentials(tmp_path, monkeypatch, values) == ("of the shell", password)


def test_credentials_of_the_file_are_hidden_from_addresses(tmp_path, monkeypatch):
    for name in ("URI", "USERNAME", "PASSWORD"):
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", "")
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}")
    address = {"MLFLOW_TRACKING_URI": "https://me:secret@runs.example.org"}
    credentials(tmp_path, monkeypatch, {"environment": address})
    assert os.environ["MLFLOW_TRACKING_URI"] == "https://runs.example.org"
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "secret"


@pytest.fixture
def sweeping_session(tmp_path, monkeypatch):
    monkeypatch.setitem(EXPERIMENTS, "tiny", searched.TINY)
    monkeypatch.setattr(hooks, "pipelines", {"sweep": create_sweep()})

    def start(search=None):
        sweep = searched.sweep_of(tmp_path, search)
        values = {
            **searched.parameters(tmp_path), "sweep": sweep.settings.model_dump(mode="json"),
        }  # fmt: skip
        catalog = DataCatalog({"parameters": MemoryDataset(values)})
        RequestHooks().before_pipeline_run(pipeline=create_sweep(), catalog=catalog)

    return start


def test_search_is_prepared_before_any_node(sweeping_session, tmp_path):
    sweeping_session()
    assert (tmp_path / "optuna.db").exists()


def test_search_that_cannot_be_is_refused_before_any_node(sweeping_session, tmp_path):
    space = {"tiny.x": {"type": "float", "low": 0.0, "high": 5.0}}
    with pytest.raises(ValueError, match=r"^sweep: tiny.x = 5.0: tiny.x: Input should be less"):
        sweeping_session({"space": space})
    assert not (tmp_path / "optuna.db").exists()
