import pytest
import torch
from torch import nn

from posinfo.networks.stored_settings import read_settings
from posinfo.networks.trained_file import (
    backbone_weights,
    from_tensors,
    is_trained_file,
    to_tensors,
    trained_colours,
)
from posinfo.networks.training import Fitted

SETTINGS = {"lr": 0.1, "seed": 3}
MEAN, STD = torch.tensor([0.25, 0.5, 0.75]), torch.tensor([0.5, 0.25, 0.125])


@pytest.fixture
def stored():
    network = nn.ModuleDict({"maps": nn.Conv2d(3, 2, 1), "head": nn.Linear(2, 4)})
    fitted = Fitted(torch.tensor([2.0, 1.0]), torch.tensor([0.5, 0.25]), 2)
    return network, to_tensors(network, fitted, MEAN, STD, SETTINGS)


def test_all_comes_back(stored):
    network, tensors = stored
    weights, losses, scores = from_tensors(tensors, SETTINGS, "it")
    assert network.load_state_dict(weights) and set(weights) == set(network.state_dict())
    assert (losses.tolist(), scores.tolist()) == ([2.0, 1.0], [0.5, 0.25])
    assert read_settings(tensors) == SETTINGS
    assert trained_colours(tensors) == ((0.25, 0.5, 0.75), (0.5, 0.25, 0.125))


def test_other_settings_are_refused(stored):
    with pytest.raises(ValueError, match=r"^it were made with other settings .*\(seed\)"):
        from_tensors(stored[1], SETTINGS | {"seed": 4}, "it")


def test_backbone_without_its_classifier(stored):
    network, tensors = stored
    weights = backbone_weights(tensors)
    assert set(weights) == {"weight", "bias"}
    assert torch.equal(weights["weight"], network["maps"].weight)


def test_other_files_are_told_apart(stored):
    assert is_trained_file(stored[1]) and not is_trained_file(stored[0].state_dict())
