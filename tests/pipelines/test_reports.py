import io

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from pydantic import BaseModel

from posinfo.experiment import Cell, Experiment, Report, Result, Step
from posinfo.networks.training.devices import Machine, Parallel
from posinfo.pipelines import tracking
from posinfo.pipelines.reports import make_report, report_files, report_identity
from posinfo.pipelines.requests import Request, forget_plans
from posinfo.store import Store

PUBLISHED = pd.DataFrame({"paper": ["a"], "value": [0.5]})
CALLS = []


class Settings(BaseModel):
    labels: tuple[str, ...] = ("a", "b")
    title: str = "scores"


class ScoresCell(Cell):
    name: str


def cells(settings):
    return {label: ScoresCell(name=label) for label in settings.labels}


def run(cell, inputs, work):
    raise AssertionError("a report computes nothing")


def report(settings, results, published):
    CALLS.append({step: list(found) for step, found in results.items()})
    rows = pd.concat([result.table for result in results["evaluate"].values()])
    text = f"# {settings.title}: {rows.spc.mean()}, {published.value.iloc[0]} é"
    return Report(
        tables={"scores": rows},
        texts={"table": text},
        figures={"maps": Figure(figsize=(2, 1), dpi=50)},
    )


STEPS = (
    Step("images", "data_preparation", lambda s: {"all": Cell()}, run),
    Step("evaluate", "evaluation", cells, run),
)
NAMES = (("scores",), ("table",), ("maps",))
EXPERIMENT = Experiment("test", Settings, STEPS, report, *NAMES)


@pytest.fixture(autouse=True)
def clean():
    forget_plans()
    CALLS.clear()
    yield
    forget_plans()


@pytest.fixture
def request_of(tmp_path):
    def make(experiment=EXPERIMENT, dtype=torch.float32, **settings):
        parallel = Parallel(n_jobs=1, threads_per_job=1)
        machine = Machine(torch.device("cpu"), dtype, parallel)
        return Request(experiment, Settings(**settings), machine, Store(tmp_path))

    return make


def evaluated(request):
    """The request, after its results were made."""
    for step in request.plan.values():
        for cell in step.values():
            if cell.key not in request.store:
                rows = pd.DataFrame({"spc": [0.25]})
                request.store.add(cell.key, cell.identity, lambda folder, r=rows: Result(rows=r))
    return request


def test_files_of_a_report_have_names_in_the_catalog():
    experiment = Experiment("e", Settings, STEPS, report, ("a", "b"), ("a",), ("c", "d"))
    assert list(report_files(experiment).items()) == [
        ("e.a_table", "a.csv"),
        ("e.b_table", "b.csv"),
        ("e.a_text", "a.md"),
        ("e.c_figure", "c.png"),
        ("e.d_figure", "d.png"),
    ]


def test_report_is_made_of_results(request_of):
    table, text, figure = make_report(evaluated(request_of()), [PUBLISHED])
    assert table == b"spc\n0.25\n0.25\n"
    assert text == "# scores: 0.25, 0.5 é"
    assert Image.open(io.BytesIO(figure)).size == (100, 50)
    assert CALLS == [{"evaluate": ["a", "b"]}]


def test_report_gets_the_steps_that_it_names(request_of):
    both = Experiment("both", Settings, STEPS, report, *NAMES, reported=("images", "evaluate"))
    make_report(evaluated(request_of(both)), [PUBLISHED, {}, {}])
    assert CALLS == [{"images": ["all"], "evaluate": ["a", "b"]}]


def test_report_is_made_once(request_of):
    first = make_report(evaluated(request_of()), [PUBLISHED])
    assert make_report(request_of(), [PUBLISHED.copy(), {}]) == first
    assert len(CALLS) == 1
    key, identity = report_identity(request_of(), PUBLISHED)
    assert key in request_of().store and key.startswith("test/report/")
    assert request_of().store.record(key)["identity"] == identity


def test_report_is_made_again_with_other_published_numbers(request_of):
    make_report(evaluated(request_of()), [PUBLISHED])
    _, text, _ = make_report(request_of(), [PUBLISHED.assign(value=0.75)])
    assert text == "# scores: 0.25, 0.75 é"
    assert len(CALLS) == 2


@pytest.mark.parametrize(
    "changes", [{"dtype": torch.bfloat16}, {"labels": ("a",)}, {"title": "maps"}]
)
def test_report_is_made_again_with_other_results_or_settings(request_of, changes):
    make_report(evaluated(request_of()), [PUBLISHED])
    make_report(evaluated(request_of(**changes)), [PUBLISHED])
    assert len(CALLS) == 2
    make_report(request_of(), [PUBLISHED])
    assert len(CALLS) == 2


def test_report_of_other_code_has_another_key(request_of):
    def elsewhere(*arguments):
        return report(*arguments)

    elsewhere.__module__ = "posinfo.choices"
    other = Experiment("test", Settings, STEPS, elsewhere, *NAMES)
    key, identity = report_identity(request_of(), PUBLISHED)
    other_key, other_identity = report_identity(request_of(other), PUBLISHED)
    assert key != other_key
    assert {name for name in identity if identity[name] != other_identity[name]} == {"code"}


def test_report_of_missing_results_is_refused(request_of):
    request = evaluated(request_of())
    for label in ("a", "b"):
        request.store.remove(request.plan["evaluate"][label].key)
    with pytest.raises(ValueError) as raised:
        make_report(request, [PUBLISHED])
    assert str(raised.value) == (
        "the results of evaluate of 'a', evaluate of 'b' were never made with these settings: run "
        "the stage `evaluation`, or the whole pipeline, again"
    )
    assert CALLS == []


def test_report_is_refused_once_a_result_was_removed(request_of):
    request = evaluated(request_of())
    make_report(request, [PUBLISHED])
    request.store.remove(request.plan["evaluate"]["b"].key)
    with pytest.raises(ValueError, match="^the results of evaluate of 'b' were never made"):
        make_report(request, [PUBLISHED])


def test_report_is_tracked_whether_it_is_new_or_not(request_of, monkeypatch):
    def names(folder):
        return sorted(path.name for path in folder.iterdir())

    tracked = []
    monkeypatch.setattr(tracking, "log_files", lambda folder: tracked.append(names(folder)))
    for _ in range(2):
        make_report(evaluated(request_of()), [PUBLISHED])
    assert tracked == [["maps.png", "scores.csv", "table.md"]] * 2
    assert len(CALLS) == 1
