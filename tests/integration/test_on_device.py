"""What two devices are compared by finds what differs."""

import numpy as np
import pandas as pd
import pytest
import torch

from posinfo.experiment import Result
from posinfo.experiments import PERMUTENET
from posinfo.work import Work
from tests.integration.on_device import disagreements, recomputed

PLANTED = {
    "weight": lambda result, by: result.tensors["weight"].view(-1)[1].add_(by),
    "features": lambda result, by: np.add.at(result.arrays["features"], 1, by),
    "mae": lambda result, by: result.table.loc.__setitem__((1, "mae"), 0.5 + by),
    "loss": lambda result, by: result.history["loss"].append(result.history["loss"].pop() + by),
}


def result() -> Result:
    return Result(
        tensors={"weight": torch.ones(2, 2), "answers": torch.ones(2, dtype=torch.long)},
        arrays={"features": np.full(3, 50, np.float32)},
        rows=pd.DataFrame({"cell": ["a", "b"], "mae": [0.25, 0.5], "spc": [0.1, np.nan], "n": 3}),
        history={"loss": [2.0, 1.0]},
    )


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_difference_is_found_and_named(name):
    found, scale = result(), {"features": 50, "loss": 2}.get(name, 1)
    PLANTED[name](found, 2e-3 * scale)
    differ = disagreements(found, result(), 1e-3)
    assert differ == {name: pytest.approx(2e-3 * scale, rel=1e-3)}


@pytest.mark.parametrize("name", PLANTED)
def test_rounding_is_not(name):
    found = result()
    PLANTED[name](found, 5e-4)
    assert disagreements(found, result(), 1e-3) == {}


def test_of_a_training_the_losses_are_compared_and_not_to_the_last_digits():
    one, other = (Result(tensors=r.tensors, history=r.history) for r in (result(), result()))
    PLANTED["weight"](one, 1.0)
    PLANTED["loss"](one, 0.05)
    assert disagreements(one, other, 1e-3) == {}
    PLANTED["loss"](one, 0.5)
    assert disagreements(one, other, 1e-3) == {"loss": pytest.approx(0.55)}


def test_a_score_that_is_not_a_number_on_one_device_alone_is_found():
    found = result()
    found.table.loc[1, "spc"] = 0.0
    with pytest.raises(AssertionError, match="spc"):
        disagreements(found, result(), 1e-3)


def test_another_number_of_rows_is_found():
    found = Result(**{**vars(result()), "rows": result().table[:1]})
    with pytest.raises(AssertionError, match="mae"):
        disagreements(found, result(), 1e-3)


def test_the_cpu_agrees_with_itself_and_another_network_does_not(finished, tmp_path):
    (evaluate,) = [step for step in PERMUTENET.steps if step.name == "evaluate"]
    cells = recomputed(finished("permutenet"), PERMUTENET, evaluate, Work(), tmp_path)
    results = [pair for _, *pair in cells]
    assert len(results) == 6
    assert [disagreements(*pair, 0) for pair in results] == [{}] * 6
    assert disagreements(results[0][0], results[1][1], 1e-3)
