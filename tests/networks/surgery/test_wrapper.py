import copy

import pytest
import torch
from torch import nn

from posinfo.networks.surgery.wrapper import Wrapper


def wrapped():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    network.note = "kept"
    return network, Wrapper(network)


def test_attributes_layers_and_tensors_keep_their_names():
    network, wrapper = wrapped()
    assert wrapper.note == "kept"
    assert wrapper.get_submodule("0") is network[0]
    assert not wrapper.training
    assert wrapper.state_dict().keys() == network.state_dict().keys()
    assert dict(wrapper.named_parameters()).keys() == dict(network.named_parameters()).keys()
    assert dict(wrapper.named_buffers()).keys() == dict(network.named_buffers()).keys()
    assert [name for name, _ in wrapper.named_modules(prefix="maps")] == [
        "maps", "maps", "maps.0", "maps.1",
    ]  # fmt: skip
    with pytest.raises(AttributeError, match="no attribute 'missing'"):
        _ = wrapper.missing


def test_wrappers_may_be_nested_and_have_modules_of_their_own():
    network, wrapper = wrapped()
    outer = Wrapper(wrapper)
    outer.head = nn.Linear(2, 2)
    names = [*network.state_dict(), "head.weight", "head.bias"]
    assert sorted(outer.state_dict()) == sorted(names)
    ones = {name: torch.ones_like(tensor) for name, tensor in outer.state_dict().items()}
    missing, unexpected = nn.ModuleDict({"maps": outer}).load_state_dict(
        {f"maps.{name}": tensor for name, tensor in ones.items()}
    )
    assert not missing and not unexpected
    assert torch.equal(network[0].weight, ones["0.weight"])
    assert torch.equal(outer.head.weight, ones["head.weight"])


def test_layers_of_the_network_may_be_replaced():
    network, wrapper = wrapped()
    replaced = nn.Conv2d(3, 6, 3)
    setattr(wrapper, "0", replaced)
    assert network[0] is replaced
    assert wrapper.state_dict().keys() == network.state_dict().keys()


def test_a_network_may_have_parameters_of_its_own_and_layers_by_any_name():
    network = nn.Module()
    network.scale = nn.Parameter(torch.ones(1))
    network.network, network.calls = nn.Linear(2, 2), nn.Linear(2, 3)
    wrapper = Wrapper(network)
    assert wrapper.network is network.network and wrapper.calls is network.calls
    names = ["scale", "network.weight", "network.bias", "calls.weight", "calls.bias"]
    assert [name for name, _ in wrapper.named_parameters()] == names
    assert list(wrapper.state_dict()) == names


def test_copies_have_networks_of_their_own():
    network, wrapper = wrapped()
    copied = copy.deepcopy(wrapper)
    copied.get_submodule("0").weight.data.zero_()
    assert network[0].weight.abs().max() > 0


def test_layers_stay_in_the_modes_that_they_are_in():
    network, _ = wrapped()
    network.train()
    network[1].eval()
    wrapper = Wrapper(network)
    assert wrapper.training and network[0].training and not network[1].training
