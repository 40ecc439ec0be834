import pytest
import torch
from torch import nn

from posinfo.networks.models.trained_file import (
    backbone_weights,
    is_trained_file,
    trained_colours,
    with_colours,
    without_colours,
)

MEAN, STD = torch.tensor([0.25, 0.5, 0.75]), torch.tensor([0.5, 0.25, 0.125])


@pytest.fixture
def network():
    return nn.ModuleDict({"maps": nn.Conv2d(3, 2, 1), "head": nn.Linear(2, 4)})


@pytest.fixture
def stored(network):
    return with_colours(network.state_dict(), MEAN, STD)


def test_all_comes_back(network, stored):
    weights = without_colours(stored)
    assert set(weights) == set(network.state_dict())
    assert network.load_state_dict(weights)
    assert trained_colours(stored) == ((0.25, 0.5, 0.75), (0.5, 0.25, 0.125))


def test_backbone_without_its_classifier(network, stored):
    weights = backbone_weights(stored)
    assert set(weights) == {"weight", "bias"}
    assert torch.equal(weights["weight"], network["maps"].weight)


def test_other_files_are_told_apart(network, stored):
    assert is_trained_file(stored) and not is_trained_file(network.state_dict())


def test_backbone_of_a_segmentation_network_without_its_head():
    parts = {"backbone": nn.Conv2d(3, 2, 1), "classifier": nn.Conv2d(2, 4, 1)}
    weights = backbone_weights(with_colours(nn.ModuleDict(parts).state_dict(), MEAN, STD))
    assert set(weights) == {"weight", "bias"}
    assert torch.equal(weights["weight"], parts["backbone"].weight)
