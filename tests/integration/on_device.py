"""The cells of a step, computed again on another device from the same inputs."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from posinfo.experiment import Experiment, Result, Step
from posinfo.experiments import EXPERIMENTS
from posinfo.pipelines.requests import Request
from posinfo.plan import Planned
from posinfo.store import Store
from posinfo.work import Work
from tests.integration.conftest import Copy, merged

NUMERIC = [
    (experiment, step)
    for experiment in EXPERIMENTS.values()
    for step in experiment.steps
    if step.numeric
]
NAMES = [f"{experiment.name}-{step.name}" for experiment, step in NUMERIC]
# Ten steps make of the last bits of a sum, which every device adds up in its own order, the second
# digit of a loss and the first of a weight: noise of 1e-6 behind each convolution does it.
TRAINING = 0.1
# settings that no tensor's place depends on
IRRELEVANT: Any = {
    **dict.fromkeys(("seed", "heads", "weights", "normalisation"), True),
    "backbone": {"arch", "weights", "seed", "blocks"},
}


def recomputed(
    project: Copy,
    experiment: Experiment,
    step: Step,
    work: Work,
    folder: Path,
    sections: Mapping[str, Any] | None = None,
) -> Iterator[tuple[str, Result, Result]]:
    """Label, result and the project's own result of each cell.

    Of cells that differ in ``IRRELEVANT`` settings alone, the last. Inputs are those of the
    project, so that what differs is the step's; results go through a store of their own.

    Args:
        project: has all results of the experiment.
        experiment: the step's.
        step: is run.
        work: where.
        folder: of the store.
        sections: other settings than those of the project, which changes no inputs of the step; a
            cell that the project has not is computed on the CPU.
    """
    store = project.data / "store"
    request = Request.of(experiment, {**(sections or merged("test")), "store": str(store)})
    here, there, on_cpu = request.store, Store(folder), Store(folder / "cpu")
    for label, cell in _unlike(request.plan[step.name]).items():
        inputs = {role: here.open(key) for role, key in cell.inputs.items()}

        def compute(arrays: Path, where: Work, cell=cell, inputs=inputs) -> Result:
            return cell.step.run(cell.cell, inputs, replace(where, folder=arrays))

        own = replace(work, checkpoint=there.checkpoint(cell.key))
        there.add(cell.key, cell.identity, partial(compute, where=own))
        if cell.key not in (known := here):
            known = on_cpu
            known.add(cell.key, cell.identity, partial(compute, where=Work()))
        yield label, there.open(cell.key), known.open(cell.key)


def disagreements(found: Result, expected: Result, tolerance: float) -> dict[str, float]:
    """The largest difference of each quantity of floating point that differs by more than allowed.

    Of a training, losses and validation scores alone are compared, and to ``TRAINING``.

    Args:
        found: on another device.
        expected: the same.
        tolerance: in units of the quantity's largest value, or of 1 if that is more.
    """
    if expected.history and expected.rows is None:
        found, expected = (Result(history=each.history) for each in (found, expected))
        tolerance = max(TRAINING, tolerance)
    one, other = _quantities(found), _quantities(expected)
    assert one.keys() == other.keys()
    differ = {}
    for name, values in other.items():
        assert one[name].shape == values.shape, name
        finite = np.isfinite(values)
        np.testing.assert_array_equal(np.isfinite(one[name]), finite, err_msg=name)
        largest = np.abs(one[name][finite] - values[finite]).max(initial=0)
        if largest > tolerance * np.abs(values[finite]).max(initial=1):
            differ[name] = float(largest)
    return differ


def _unlike(cells: dict[str, Planned]) -> dict[str, Planned]:
    last = {
        str(cell.cell.model_dump(mode="json", exclude=IRRELEVANT)): label
        for label, cell in cells.items()
    }
    return {label: cells[label] for label in last.values()}


def _quantities(result: Result) -> dict[str, np.ndarray]:
    columns = {} if result.rows is None else dict(result.rows.select_dtypes("float").items())
    tensors = {name: t for name, t in result.tensors.items() if t.dtype.is_floating_point}
    named = {**result.arrays, **tensors, **columns, **result.history}
    with torch.no_grad():
        return {name: np.asarray(values, np.float64) for name, values in named.items()}
