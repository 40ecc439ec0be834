import numpy as np
import pytest
import torch
from torch import nn

from posinfo.experiment import Result
from posinfo.experiments.trained_network import (
    by_seed,
    learning_curves,
    load_trained,
    network_label,
    trained_result,
)
from posinfo.networks.training.loop import Fitted

MEAN, STD = torch.tensor([0.25, 0.5, 0.75]), torch.tensor([0.5, 0.25, 0.125])


@pytest.fixture
def network():
    return nn.ModuleDict({"maps": nn.Conv2d(3, 2, 1), "head": nn.Linear(2, 4)})


@pytest.fixture
def trained(network):
    fitted = Fitted(torch.tensor([2.0, 1.0]), torch.tensor([0.75, 0.25]), 1)
    return trained_result(network, fitted, MEAN, STD)


def test_all_comes_back(network, trained):
    other = nn.ModuleDict({"maps": nn.Conv2d(3, 2, 1), "head": nn.Linear(2, 4)})
    load_trained(other, trained)
    for name, value in network.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name
    assert trained.history == {"train_loss": [2.0, 1.0], "validation_accuracy": [0.75, 0.25]}
    assert trained.facts == {"epoch": 1}
    assert trained.rows is None


def test_colours_of_the_training_are_kept(trained):
    assert torch.equal(trained.tensors["colours.mean"], MEAN)
    assert torch.equal(trained.tensors["colours.std"], STD)


def test_results_of_a_cell_are_those_of_its_seeds_in_order():
    results = {network_label("a", seed): Result(facts={"seed": seed}) for seed in (3, 1, 2)}
    results[network_label("a-seed1", 3)] = Result(facts={"seed": "of another"})
    found = by_seed(results, {"a": (1, 3), "a-seed1": (3,)})
    assert {label: [r.facts["seed"] for r in rs] for label, rs in found.items()} == {
        "a": [1, 3], "a-seed1": ["of another"],
    }  # fmt: skip


def test_learning_curves_are_the_histories(trained):
    ((loss, accuracy),) = learning_curves({"a": [trained]})["a"]
    np.testing.assert_array_equal(loss, [2.0, 1.0])
    np.testing.assert_array_equal(accuracy, [0.75, 0.25])
