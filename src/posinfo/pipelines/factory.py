"""Makes the Kedro pipeline of an experiment: a node per step, and one for the report."""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from kedro.pipeline import Node, Pipeline

from posinfo.experiment import Experiment, Step
from posinfo.pipelines import tracking
from posinfo.pipelines.reports import make_report, report_files
from posinfo.pipelines.requests import SHARED, Request
from posinfo.pipelines.runner import run_step
from posinfo.plan import Planned, numerics
from posinfo.store import FILES
from posinfo.work import silent

# What the name of a step's results ends in, by stage: conf/base/catalog.yml keeps each elsewhere.
RESULTS = {"data_preparation": "prepared", "modeling": "modeled", "evaluation": "evaluated"}


def create_pipeline(experiment: Experiment) -> Pipeline:
    """The nodes of an experiment, tagged with their stages, in a namespace of its name."""
    names = {step.name: results_name(experiment, step) for step in experiment.steps}
    nodes = []
    for index, step in enumerate(experiment.steps):
        earlier = list(names)[:index]
        function = _step_function(step, earlier)
        inputs = [names[name] for name in earlier]
        nodes.append(_node(experiment, step.name, step.stage, function, inputs, names[step.name]))
    reported = ["published_numbers", *(names[name] for name in experiment.report_steps)]
    files = list(report_files(experiment))
    nodes.append(_node(experiment, "report", "evaluation", make_report, reported, files))
    return Pipeline(nodes)


def results_name(experiment: Experiment, step: Step) -> str:
    """The catalog's name of what a step computes."""
    return f"{experiment.name}.{step.name}_{RESULTS[step.stage]}"


def _node(
    experiment: Experiment,
    name: str,
    stage: str,
    function: Callable[[Request, Sequence[Any]], Any],
    inputs: list[str],
    outputs: str | list[str],
) -> Node:
    """A node whose parameters are typed, so that Kedro refuses bad ones before it runs any."""
    types = {n: field.annotation for n, field in experiment.settings.model_fields.items()} | SHARED

    def run(*values: Any) -> Any:
        request = Request.of(experiment, dict(zip(types, values, strict=False)))
        return function(request, values[len(types) :])

    arguments = [*types, *(f"input_{index}" for index in range(len(inputs)))]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter(name, kind) for name in arguments])
    run.__name__, run.__annotations__ = name, dict(types)
    run.__signature__ = signature  # type: ignore[attr-defined]
    parameters = [f"params:{parameter}" for parameter in types]
    return Node(
        run, [*parameters, *inputs], outputs, name=name, tags=stage, namespace=experiment.name
    )


def _step_function(step: Step, earlier: list[str]) -> Callable[[Request, Sequence[Any]], Any]:
    def compute(request: Request, inputs: Sequence[dict[str, str]]) -> dict[str, str]:
        cells = list(request.plan[step.name].values())
        request.require_inputs(cells, dict(zip(earlier, inputs, strict=True)))

        track = partial(_track, request) if step.stage == "evaluation" else silent
        run_step(cells, request.store, request.machine, track)
        return {cell.label: str(request.store.path(cell.key)) for cell in cells}

    return compute


def _track(request: Request, cell: Planned, computed: bool) -> None:
    """One child run; its picture is drawn where the result is new."""
    result, picture = request.store.open(cell.key), cell.step.picture
    parameters = cell.cell.parameters or cell.identity["settings"]
    tracking.log_cell(
        cell.label,
        {**parameters, **numerics(request.machine.device, request.machine.dtype)},
        tracking.metrics_of(result.rows),
        result.history,
        picture(result) if picture and computed else None,
        request.store.path(cell.key) / FILES if result.files else None,
    )
