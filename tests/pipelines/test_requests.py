import pytest
import torch
from pydantic import BaseModel, ValidationError

from posinfo.experiment import Cell, Experiment, Report, Result, Step
from posinfo.networks.training.devices import Device, Machine, Parallel, Precision
from posinfo.pipelines.requests import Request, forget_plans
from posinfo.store import Store


class Section(BaseModel):
    size: int = 8
    lr: float = 0.1
    betas: dict[str, float] = {"first": 0.5}


class Settings(BaseModel):
    section: Section = Section()


class ImagesCell(Cell):
    size: int


class NetworkCell(Cell):
    lr: float
    betas: dict[str, float]


def run(cell, inputs, work):
    return Result()


def images(settings):
    return {"all": ImagesCell(size=settings.section.size)}


def train(settings):
    inputs = {"pixels": "images/all"}
    section = settings.section
    return {"a": NetworkCell(inputs=inputs, lr=section.lr, betas=section.betas)}


def evaluate(settings):
    return {"a": Cell(inputs={"network": "train/a", "images": "images/all"})}


EXPERIMENT = Experiment(
    "test",
    Settings,
    (
        Step("images", "data_preparation", images, run, numeric=False),
        Step("train", "modeling", train, run),
        Step("evaluate", "evaluation", evaluate, run),
    ),
    lambda *_: Report({}, {}, {}),
    (), (), (),
)  # fmt: skip
PARAMETERS = {
    "section": {"size": 3},
    "other": {"unknown": 1},
    "device": "cpu",
    "precision": "bfloat16",
    "parallel": {"n_jobs": 2, "threads_per_job": None},
}


@pytest.fixture(autouse=True)
def fresh_plans():
    forget_plans()
    yield
    forget_plans()


@pytest.fixture
def request_of(tmp_path):
    def make(dtype=torch.float32, experiment=EXPERIMENT, **section):
        parallel = Parallel(n_jobs=1, threads_per_job=1)
        machine = Machine(torch.device("cpu"), dtype, parallel)
        settings = Settings(section=Section(**section))
        return Request(experiment, settings, machine, Store(tmp_path))

    return make


@pytest.fixture
def made(request_of):
    """Makes the results of steps; returns their keys by step and label, as the catalog has them."""

    def make(*steps, **section):
        request = request_of(**section)
        for step in steps:
            for cell in request.plan[step].values():
                if cell.key not in request.store:
                    request.store.add(cell.key, cell.identity, lambda folder: Result())
        return {
            step: {label: cell.key for label, cell in request.plan[step].items()} for step in steps
        }

    return make


def require(request, step, earlier):
    request.require_inputs(list(request.plan[step].values()), earlier)


def refusal(request, step, earlier):
    with pytest.raises(ValueError) as raised:
        require(request, step, earlier)
    return str(raised.value)


def test_request_is_made_of_the_sections_of_the_configuration(tmp_path):
    request = Request.of(EXPERIMENT, {**PARAMETERS, "store": str(tmp_path)})
    assert request.settings == Settings(section=Section(size=3))
    assert request.machine == Machine(
        torch.device("cpu"), torch.bfloat16, Parallel(n_jobs=2, threads_per_job=None)
    )
    assert request.store.folder == tmp_path


def test_request_takes_what_kedro_has_validated(tmp_path):
    parameters = {**PARAMETERS, "store": str(tmp_path)}
    validated = {
        **parameters,
        "section": Section(size=3),
        "device": Device("cpu"),
        "precision": Precision("bfloat16"),
        "parallel": Parallel(n_jobs=2, threads_per_job=None),
    }
    one, other = Request.of(EXPERIMENT, parameters), Request.of(EXPERIMENT, validated)
    assert (one.settings, one.machine) == (other.settings, other.machine)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("section", {"size": "large"}, "section.size\n  Input should be a valid integer"),
        ("device", "gpu", "device must be one of auto, cpu, cuda, mps; got 'gpu'"),
        ("device", "cuda:99", "device 'cuda:99' is not on this machine; `auto` takes what there"),
        ("precision", "half", "precision must be one of auto, bfloat16, float32; got 'half'"),
        ("parallel", {}, "n_jobs\n  Field required"),
    ],
)
def test_section_that_cannot_be_is_refused(tmp_path, name, value, message):
    with pytest.raises(ValidationError, match=message):
        Request.of(EXPERIMENT, {**PARAMETERS, "store": str(tmp_path), name: value})


def test_plan_is_made_once_per_run(request_of):
    calls = []

    def counted(settings):
        calls.append(settings.section.size)
        return images(settings)

    steps = (Step("images", "data_preparation", counted, run),)
    other = Experiment("counted", Settings, steps, EXPERIMENT.report, (), (), ())
    for size in (3, 3, 4, 3):
        assert request_of(experiment=other, size=size).plan["images"]["all"].cell.size == size
    assert calls == [3, 4]
    _ = request_of(experiment=other, size=3, dtype=torch.bfloat16).plan
    assert calls == [3, 4, 3]
    forget_plans()
    _ = request_of(experiment=other, size=3).plan
    assert calls == [3, 4, 3, 3]


def test_inputs_that_are_there_suffice(request_of, made):
    earlier = made("images", "train")
    require(request_of(), "train", earlier)
    require(request_of(), "evaluate", earlier)
    require(request_of(), "evaluate", {})  # whatever the catalog says


def test_result_that_is_there_needs_no_inputs(request_of, made):
    made("evaluate")
    require(request_of(), "evaluate", {})


@pytest.mark.parametrize(
    "earlier", [{}, {"train": {}}, {"train": {"b": ""}}, {"train": {"a": "test/train/removed"}}]
)
def test_inputs_that_were_never_made_are_refused(request_of, made, earlier):
    made("images")
    assert refusal(request_of(), "evaluate", earlier) == (
        "the results of train of 'a' were never made with these settings: "
        "run the stage `modeling`, or the whole pipeline, again"
    )


CHANGED = "were made with other settings or inputs than are asked for"
AGAIN = "run the stage `modeling`, or the whole pipeline, again"


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ({"lr": 0.5}, "lr"),
        ({"betas": {"first": 0.5, "second": 0.9}}, "betas.second"),
        ({"lr": 0.5, "betas": {"first": 0.9}}, "betas.first, lr"),
        ({"dtype": torch.bfloat16}, "dtype"),
        ({"size": 9}, "size"),
        ({"size": 9, "lr": 0.5}, "size, lr"),
    ],
)
def test_settings_that_differ_are_named_through_inputs_of_inputs(request_of, made, section, names):
    earlier = made("images", "train")
    assert refusal(request_of(**section), "evaluate", earlier) == (
        f"the results of train of 'a' {CHANGED} ({names}): {AGAIN}"
    )


def test_missing_input_is_named_with_its_own_stage(request_of, made):
    earlier = made("images")
    assert refusal(request_of(size=9), "train", earlier) == (
        f"the results of images of 'all' {CHANGED} (size): "
        "run the stage `data_preparation`, or the whole pipeline, again"
    )


def test_input_that_was_removed_since_is_named_by_its_role(request_of, made):
    earlier = made("images", "train")
    request = request_of()
    request.store.remove(earlier["images"]["all"])
    assert refusal(request_of(size=9), "evaluate", earlier) == (
        f"the results of train of 'a' {CHANGED} (inputs.pixels): {AGAIN}"
    )


def test_other_code_is_named(request_of, made):
    earlier = made("images", "train")
    store, key = request_of().store, earlier["train"]["a"]
    identity = store.record(key)["identity"]
    store.remove(key)
    store.add("test/train/older", {**identity, "code": "older"}, lambda folder: Result())
    assert refusal(request_of(), "evaluate", {"train": {"a": "test/train/older"}}) == (
        f"the results of train of 'a' {CHANGED} (code): {AGAIN}"
    )
