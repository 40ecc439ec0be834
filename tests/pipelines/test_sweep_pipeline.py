import logging
from io import BytesIO

import optuna
import pandas as pd
import pytest
from sqlalchemy.exc import OperationalError

from posinfo.experiments import EXPERIMENTS
from posinfo.pipelines import sweep_pipeline, sweeping, tracking
from posinfo.pipelines.requests import SHARED
from posinfo.pipelines.runner import Failure
from posinfo.pipelines.sweep_pipeline import REPORTED, TABLES, create_sweep
from posinfo.pipelines.sweep_settings import SweepParameters
from posinfo.pipelines.sweeping import Done
from posinfo.pipelines.sweeping_storage import open_study
from tests.pipelines.searched import parameters, sweep_of

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def told(monkeypatch):
    """What MLflow is told: of trials, and of texts and pictures."""
    cells, texts = [], []
    monkeypatch.setattr(tracking, "log_cell", lambda *a, **k: cells.append((a, k)))
    monkeypatch.setattr(tracking, "log_texts", lambda *a: texts.append(a))
    return cells, texts


def test_pipeline_searches_and_reports():
    search, report = create_sweep().nodes
    sections = {name for each in EXPERIMENTS.values() for name in each.settings.model_fields}
    asked = {f"params:{name}" for name in ("sweep", *sections, *SHARED)}
    assert (search.name, report.name) == ("sweep.search", "sweep.report")
    assert set(search.inputs) == asked and search.outputs == [TABLES[0]]
    assert set(report.inputs) == {*asked, TABLES[0]} and report.outputs == list(REPORTED)
    assert search.func.__annotations__["sweep"] is SweepParameters  # Kedro checks it


def test_nodes_give_the_catalog_its_entries(tmp_path, told):
    sweep = sweep_of(tmp_path, n_trials=2)
    search, report = create_sweep().nodes
    given = dict.fromkeys(search.inputs)
    given |= {f"params:{name}": value for name, value in parameters(tmp_path).items()}
    given["params:sweep"] = sweep.settings
    (table,) = search.run(given).values()
    trials = pd.read_csv(BytesIO(table))
    assert trials.trial.tolist() == [0, 1] and trials["tiny.x"][0] == 3.0
    cells, texts = told
    assert [arguments[0] for arguments, _ in cells] == ["trial 0", "trial 1"]
    assert cells[0][0][1] == {"tiny.x": 3.0}
    made = report.run(given | {TABLES[0]: table})
    assert list(made) == list(REPORTED)
    best = pd.read_csv(BytesIO(made["sweep.best_table"]))
    assert set(best.split) == {"validation", "test"}
    assert made["sweep.summary_text"].startswith(f"# {sweep.study}")
    assert {name.removesuffix(".png") for name in made["sweep.plots"]} == set(texts[0][1])
    number = open_study(sweep).best_trial.number
    assert list(made["sweep.configurations"]) == [f"trial-{number}.yml"]
    assert set(texts[0][0]) == {"best.csv", "comparisons.csv", "summary.md", f"trial-{number}.yml"}


@pytest.mark.parametrize("name", ["search", "report"])
@pytest.mark.usefixtures("told")
def test_database_that_goes_away_is_named(tmp_path, monkeypatch, name):
    sweep = sweep_of(tmp_path, n_trials=2)
    list(sweeping.search(sweep))
    (node,) = (each for each in create_sweep().nodes if each.name == f"sweep.{name}")
    given = dict.fromkeys(node.inputs)
    given |= {f"params:{name}": value for name, value in parameters(tmp_path).items()}
    get_trials = optuna.Study.get_trials

    def away(study, *arguments, **more):
        nonlocal answers
        answers -= 1
        if answers < 0:
            why = OperationalError("SELECT 1", {}, OSError("server closed\nDETAIL"))
            raise optuna.exceptions.StorageInternalError("raised during the commit") from why
        return get_trials(study, *arguments, **more)

    monkeypatch.setattr(optuna.Study, "get_trials", away)
    for known in range(5 if name == "search" else 2):
        answers = known
        with pytest.raises(
            ValueError,
            match=r"^Optuna cannot use sweep.storage sqlite:.*/optuna.db: .*server closed\. Is ",
        ):
            node.run(given | {"params:sweep": sweep.settings})


def test_trial_is_a_line_and_a_run(tmp_path, told, caplog):
    done = Done(
        3, "complete", 1.25, {"tiny.x": 0.5}, {"error": [1.0, 2.0], "size": [0.5]},
        {"seed0": {"loss": [3.0, 2.0]}},
    )  # fmt: skip
    sweep = sweep_of(tmp_path)
    with caplog.at_level(logging.INFO, sweep_pipeline.__name__):
        sweep_pipeline.track(sweep, done)
    assert caplog.messages == ["trial 3 complete in 1.2 s: error 1.5, size 0.5"]
    (((*arguments,), keywords),) = told[0]
    assert arguments == [
        "trial 3",
        {"tiny.x": 0.5},
        {"error": 1.5, "size": 0.5, "error_sd": pytest.approx(0.5**0.5), "seconds": 1.25},
        {"loss_seed0": [3.0, 2.0]},
    ]
    tags = {"study": sweep.study, "state": "complete"}
    assert keywords == {"tags": tags, "failed": False}


def test_failed_trial_is_a_failed_run(tmp_path, told, caplog):
    failure = Failure("lower x" * 1000, "Traceback of another process", unwritable=False)
    done = Done(4, "failed", 0.5, {"tiny.x": 3.0}, failure=failure)
    with caplog.at_level(logging.DEBUG, sweep_pipeline.__name__):
        sweep_pipeline.track(sweep_of(tmp_path), done)
    assert caplog.messages[0].startswith("trial 4 failed in 0.5 s: lower xlower x")
    assert caplog.messages[1] == "traceback of trial 4:\nTraceback of another process"
    assert [record.levelname for record in caplog.records] == ["INFO", "DEBUG"]
    ((_, keywords),) = told[0]
    assert keywords["failed"] and keywords["tags"]["state"] == "failed"
    assert keywords["tags"]["error"] == ("lower x" * 1000)[:5000]
