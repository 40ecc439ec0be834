import pandas as pd
import pytest
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.runner import SequentialRunner
from kedro.validation import TypeExtractor
from matplotlib.figure import Figure
from pydantic import BaseModel

from posinfo.experiment import STAGES, Cell, Experiment, Report, Result, Step
from posinfo.experiments import EXPERIMENTS
from posinfo.pipeline_registry import register_pipelines
from posinfo.pipelines import tracking
from posinfo.pipelines.datasets import ResultsDataset
from posinfo.pipelines.factory import create_pipeline, results_name
from posinfo.pipelines.reports import report_files
from posinfo.pipelines.requests import SHARED, forget_plans
from posinfo.store import Store

every_experiment = pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS)


@every_experiment
def test_pipeline_has_a_node_per_step_and_one_for_the_report(experiment):
    nodes = create_pipeline(experiment).nodes
    expected = [(f"{experiment.name}.{step.name}", {step.stage}) for step in experiment.steps]
    expected.append((f"{experiment.name}.report", {"evaluation"}))
    assert [(node.name, set(node.tags)) for node in nodes] == expected
    assert {node.namespace for node in nodes} == {experiment.name}


@every_experiment
def test_nodes_take_the_results_of_earlier_steps(experiment):
    *steps, report = create_pipeline(experiment).nodes
    names = [results_name(experiment, step) for step in experiment.steps]
    for index, node in enumerate(steps):
        results = [name for name in node.inputs if not name.startswith("params:")]
        assert (results, node.outputs) == (names[:index], [names[index]])
    results = [name for name in report.inputs if not name.startswith("params:")]
    reported = [
        results_name(experiment, s) for s in experiment.steps if s.name in experiment.report_steps
    ]
    assert results == ["published_numbers", *reported]
    assert report.outputs == list(report_files(experiment))


@every_experiment
def test_pipeline_needs_parameters_and_published_numbers_alone(experiment):
    sections = [*experiment.settings.model_fields, *SHARED]
    expected = {f"params:{name}" for name in sections} | {"published_numbers"}
    assert create_pipeline(experiment).inputs() == expected


@every_experiment
def test_kedro_finds_the_types_of_all_parameters(experiment):
    pipeline = create_pipeline(experiment)
    found = TypeExtractor({experiment.name: pipeline}).extract_types_from_pipelines()
    fields = {n: field.annotation for n, field in experiment.settings.model_fields.items()}
    models = {n: kind for n, kind in (fields | SHARED).items() if kind is not str}
    assert found == models
    assert all(issubclass(kind, BaseModel) for kind in found.values())


def test_experiments_agree_on_the_types_of_shared_sections(caplog):
    TypeExtractor(register_pipelines()).extract_types_from_pipelines()
    assert "Conflicting" not in caplog.text


def test_stages_are_pipelines_across_experiments():
    pipelines = register_pipelines()
    names = {stage: {node.name for node in pipelines[stage].nodes} for stage in STAGES}
    assert "posenet.images" in names["data_preparation"]
    assert {"augshift.train", "posenet.readouts"} <= names["modeling"]
    assert {"permutenet.evaluate", "permutenet.report"} <= names["evaluation"]
    assert pipelines["__default__"].describe() == pipelines["posenet"].describe()
    assert set(pipelines) == {*EXPERIMENTS, "sweep", *STAGES, "__default__"}


class Section(BaseModel):
    factor: float
    error: str = ""


class Settings(BaseModel):
    tiny: Section


class NumberCell(Cell):
    number: int
    error: str = ""


class ScoreCell(Cell):
    factor: float


def make(cell, inputs, work):
    if cell.error:
        raise ValueError(cell.error)
    return Result(facts={"number": cell.number})


def score(cell, inputs, work):
    value = cell.factor * inputs["number"].facts["number"]
    return Result(rows=pd.DataFrame({"score": [value]}), history={"loss": [2.0, 1.0]})


def numbers(settings):
    error = settings.tiny.error
    return {f"n{number}": NumberCell(number=number, error=error) for number in (1, 2)}


def scores(settings):
    factor = settings.tiny.factor
    return {
        "one": ScoreCell(factor=factor, inputs={"number": "numbers/n1"}),
        "two": ScoreCell(
            factor=factor, inputs={"number": "numbers/n2"}, parameters={"own": {"a": 1}}
        ),
    }


def report(settings, results, published):
    rows = pd.concat([result.table for result in results["scores"].values()])
    return Report(
        {"scores": rows}, {"summary": f"sum {rows.score.sum()}"}, {"curve": Figure(figsize=(1, 1))}
    )


TINY = Experiment(
    "tiny",
    Settings,
    (
        Step("numbers", "modeling", numbers, make),
        Step("scores", "evaluation", scores, score, picture=lambda result: Figure()),
    ),
    report,
    ("scores",),
    ("summary",),
    ("curve",),
)


@pytest.fixture
def tracked(monkeypatch):
    calls = []
    monkeypatch.setattr(tracking, "log_cell", lambda *arguments: calls.append(arguments))
    return calls


class Run:
    """Runs the pipeline of the tiny experiment on a catalog that outlives the runs."""

    def __init__(self, folder):
        self.store = Store(folder / "store")
        links = {name: folder / name for name in ("numbers_modeled", "scores_evaluated")}
        self.results = {n: ResultsDataset(filepath=str(path)) for n, path in links.items()}

    def __call__(self, *nodes, factor=2.0, error=""):
        forget_plans()
        parameters = {
            "tiny": {"factor": factor, "error": error},
            "device": "cpu",
            "precision": "float32",
            "parallel": {"n_jobs": 1, "threads_per_job": 1},
            "store": str(self.store.folder),
        }
        catalog = DataCatalog(
            {
                **{f"params:{name}": MemoryDataset(v) for name, v in parameters.items()},
                "published_numbers": MemoryDataset(pd.DataFrame({"value": [1]})),
                **{f"tiny.{name}": dataset for name, dataset in self.results.items()},
            }
        )
        pipeline = create_pipeline(TINY)
        pipeline = pipeline.filter(node_names=[f"tiny.{n}" for n in nodes]) if nodes else pipeline
        outputs = SequentialRunner().run(pipeline, catalog)
        forget_plans()
        return {name.removeprefix("tiny."): data.load() for name, data in outputs.items()}


@pytest.fixture
def run(tmp_path, tracked):
    return Run(tmp_path)


def test_pipeline_computes_and_reports(run):
    outputs = run()
    assert outputs["scores_table"] == b"score\n2.0\n4.0\n"
    assert outputs["summary_text"] == "sum 6.0"
    assert outputs["curve_figure"].startswith(b"\x89PNG")
    links = {name: dataset.load() for name, dataset in run.results.items()}
    assert list(links["numbers_modeled"]) == ["n1", "n2"]
    assert list(links["scores_evaluated"]) == ["one", "two"]
    for keys in links.values():
        assert all(key in run.store for key in keys.values())


def test_second_run_computes_nothing(run):
    first = run()
    made = {path: path.stat().st_mtime_ns for path in run.store.folder.rglob("*")}
    assert run() == first
    assert {path: path.stat().st_mtime_ns for path in run.store.folder.rglob("*")} == made


def test_other_settings_recompute_what_has_them(run):
    before = run() and {name: dataset.load() for name, dataset in run.results.items()}
    assert run(factor=3.0)["summary_text"] == "sum 9.0"
    assert run.results["numbers_modeled"].load() == before["numbers_modeled"]
    after = run.results["scores_evaluated"].load()
    assert after.keys() == before["scores_evaluated"].keys()
    assert not set(after.values()) & set(before["scores_evaluated"].values())
    assert run()["summary_text"] == "sum 6.0"
    assert run.results["scores_evaluated"].load() == before["scores_evaluated"]


def test_evaluated_cells_are_tracked(run, tracked):
    run()
    machine = {"device": "cpu", "dtype": "float32"}
    *one, picture, files = tracked[0]
    assert one == ["one", {"factor": 2.0, **machine}, {"score": 2.0}, {"loss": [2.0, 1.0]}]
    assert isinstance(picture, Figure) and files is None
    assert tracked[1][:2] == ("two", {"own": {"a": 1}, **machine})
    assert len(tracked) == 2


def test_picture_is_drawn_where_the_result_is_new(run, tracked):
    run()
    tracked.clear()
    run()
    assert [(call[0], call[2], call[4]) for call in tracked] == [
        ("one", {"score": 2.0}, None),
        ("two", {"score": 4.0}, None),
    ]


def test_single_nodes_go_on_from_what_is_there(run):
    run("numbers")
    assert not run.results["scores_evaluated"].exists()
    run("scores")
    assert run("report")["summary_text"] == "sum 6.0"


def test_node_refuses_inputs_of_other_settings(run):
    run("numbers", error="")
    with pytest.raises(ValueError) as raised:
        run("scores", error="other")
    assert str(raised.value) == (
        "the results of numbers of 'n1' were made with other settings or inputs than are asked for "
        "(error): run the stage `modeling`, or the whole pipeline, again"
    )


def test_failed_cells_end_the_run(run):
    with pytest.raises(RuntimeError, match="^2 of 2 cells of numbers failed") as raised:
        run(error="no number")
    assert not isinstance(raised.value, DatasetError)
    first, second = str(raised.value).splitlines()[1:]
    assert first.startswith("  n1: ValueError: no number (")
    assert second.startswith("  n2: ValueError: no number (")
    assert not run.results["numbers_modeled"].exists()
