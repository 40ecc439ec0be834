from collections import namedtuple
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from posinfo.networks.surgery.observed import Observed, tensor_at
from posinfo.networks.surgery.padding import repad


@dataclass
class Answer:
    logits: torch.Tensor
    loss: None = None


Pair = namedtuple("Pair", "boxes scores")
ONE, TWO = torch.ones(1), torch.full((1,), 2.0)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (ONE, ""), ({"out": ONE}, ""), ([ONE], ""), (Answer(ONE), ""), (Answer(ONE), "logits"),
        ({"a": TWO, "b": ONE}, "b"), ((TWO, ONE), "1"), (Pair(TWO, ONE), "scores"),
        ([{"x": TWO}, {"y": {"z": ONE}}], "1.y.z"), ({"only": {"one": ONE}}, "only"),
    ],
)  # fmt: skip
def test_tensor_is_found(value, path):
    assert tensor_at(value, path, "it") is ONE


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        ({"a": ONE, "b": TWO}, "",
         "it returns dict, not a tensor; name one of its tensors: a, b"),
        ({"a": ONE}, "c", "it returns no 'c': dict has no 'c' but a"),
        ({"a": {"x": ONE, "y": TWO}}, "a",
         "it returns dict, not a tensor; name one of its tensors: a.x, a.y"),
        ("text", "", "it returns str, not a tensor; there is no tensor in it"),
        ([], "", "it returns list, not a tensor; there is no tensor in it"),
    ],
)  # fmt: skip
def test_what_is_no_tensor_is_refused(value, path, message):
    with pytest.raises(ValueError) as refusal:
        tensor_at(value, path, "it")
    assert str(refusal.value) == message


def test_layers_and_output_of_one_pass():
    first, second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 3, 2)
    network = nn.Sequential(first, nn.Sequential(second), nn.Flatten()).eval()
    images = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        maps = Observed(network, ["1", "0"])(images)
        assert list(maps) == ["1", "0", "output"]
        assert maps["0"].equal(first(images))
        assert maps["1"].equal(second(first(images)))
        assert maps["output"].equal(network(images))
    assert not any(module._forward_hooks for module in network.modules())


def test_a_layer_that_runs_twice_is_read_the_first_time():
    layer = nn.Conv2d(3, 3, 1)
    images = torch.rand(1, 3, 4, 4)
    with torch.no_grad():
        assert Observed(nn.Sequential(layer, layer), ["0"])(images)["0"].equal(layer(images))


def test_the_same_of_another_network():
    network = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1))
    observed = Observed(network, ["0"])
    other = observed.of(repad(network, "circular"))
    images = torch.rand(1, 3, 6, 6)
    with torch.no_grad():
        assert not other(images)["output"].equal(observed(images)["output"])


def test_unknown_layer_and_one_that_is_not_run():
    network = nn.Sequential(nn.Conv2d(3, 3, 1))
    with pytest.raises(ValueError, match="the network has no layer '7'"):
        Observed(network, ["7"])
    network.unused = nn.Conv2d(3, 3, 1)  # a Sequential would run it
    network.forward = network[0].forward
    with pytest.raises(ValueError, match="the network does not run its layer 'unused'"):
        Observed(network, ["unused"])(torch.rand(1, 3, 4, 4))
