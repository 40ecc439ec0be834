from collections import OrderedDict
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torchvision.models import get_model
from torchvision.models.feature_extraction import create_feature_extractor

from posinfo.networks.surgery.block_reader import BlockReader, Touched, drop_unused
from posinfo.networks.surgery.padding import repad


@dataclass
class Answer:
    maps: torch.Tensor
    label: str


class Parts(nn.Module):
    """A layer whose output is not a tensor."""

    def __init__(self, kind):
        super().__init__()
        self.conv, self.kind = nn.Conv2d(3, 4, 3, padding=1), kind

    def forward(self, images):
        maps = self.conv(images)
        return {
            "dict": OrderedDict(out=maps, aux=-maps),
            "dataclass": Answer(maps, "cat"),
            "tuple": (maps, -maps),
        }[self.kind]


class Behind(nn.Module):
    """Fails when it is run."""

    def forward(self, maps):
        raise KeyError("what stands behind the last block is not run")


def read(network, layers, images, kept=lambda block, index: block):
    return BlockReader(network, layers, kept)(images)


@pytest.fixture
def images(generator):
    torch.manual_seed(0)
    return torch.randn(2, 3, 64, 64, generator=generator)


@pytest.mark.parametrize("arch", ["vgg11", "resnet18", "densenet121"])
def test_outputs_are_those_of_torchvisions_extractor(arch, images):
    network = get_model(arch, weights=None).eval()
    layers = {
        "vgg11": ["features.1", "features.15"],
        "resnet18": ["relu", "layer2.0.conv1", "layer4"],
        "densenet121": ["features.denseblock1", "features.norm5"],
    }[arch]
    names = {layer: f"f{index}" for index, layer in enumerate(layers, start=1)}
    expected = create_feature_extractor(network, names)(images)
    ours = read(network, layers, images)
    assert list(ours) == list(expected)
    for name, block in expected.items():
        assert torch.equal(ours[name], block)


def test_stops_behind_the_last_block_and_leaves_no_hook(images):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), Behind())
    first, second = read(network, ["1", "0"], images).values()
    assert torch.equal(first, second.relu())
    assert not any(module._forward_hooks for module in network.modules())


def test_no_hook_is_left_where_the_network_fails(images):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), Behind(), nn.ReLU())
    with pytest.raises(KeyError):
        read(network, ["0", "2"], images)
    assert not any(module._forward_hooks for module in network.modules())


def test_keeps_what_is_made_of_a_block(images):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    kept = read(network, ["0", "1"], images, lambda block, index: block.mean((2, 3)) + index)
    assert torch.equal(kept["f2"], network(images).mean((2, 3)) + 1)


@pytest.mark.parametrize(
    ("kind", "path"),
    [("dict", "0[out]"), ("dataclass", "0[maps]"), ("dataclass", "0"), ("tuple", "0[0]")],
)
def test_part_of_an_output(kind, path, images):
    network = nn.Sequential(Parts(kind))
    assert torch.equal(read(network, [path], images)["f1"], network[0].conv(images))


@pytest.mark.parametrize(
    ("kind", "path", "message"),
    [
        (
            "dict", "0",
            "the output of layer '0' is OrderedDict and has no tensor ''; "
            "name one of 0[out], 0[aux]",
        ),
        (
            "tuple", "0[2]",
            "the output of layer '0' is tuple and has no tensor '2'; name one of 0[0], 0[1]",
        ),
        (
            "tuple", "0.conv[0]",
            "the output of layer '0.conv' is Tensor and has no tensor '0'; "
            "name one of another layer",
        ),
    ],
)  # fmt: skip
def test_output_without_the_tensor_is_refused(kind, path, message, images):
    with pytest.raises(ValueError) as raised:
        read(nn.Sequential(Parts(kind)), [path], images)
    assert str(raised.value) == message


def test_layer_that_is_not_run_is_refused(images):
    network = get_model("googlenet", weights=None, init_weights=False).eval()
    with pytest.raises(ValueError) as raised:
        read(network, ["conv1", "aux1.conv"], images)
    assert str(raised.value) == "the network does not run its layer 'aux1.conv'"


def test_first_output_of_a_layer_that_runs_twice(images):
    relu = nn.ReLU()
    network = nn.Sequential(relu, nn.Conv2d(3, 4, 3), relu, nn.Identity())
    assert torch.equal(read(network, ["0", "3"], images)["f1"], images.relu())


def test_blocks_of_a_repadded_network(images):
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
    built = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), nn.ReLU())
    built.load_state_dict(network.state_dict())
    repadded = repad(network, "circular")
    assert torch.equal(read(repadded, ["0"], images)["f1"], built[0](images))
    with pytest.raises(ValueError, match="this network has no padded layer"):
        read(repad(nn.Sequential(nn.Conv2d(3, 4, 3)), "circular"), ["0"], images)


def test_tensors_keep_their_names(images):
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4))
    reader = BlockReader(repad(network, "reflect"), ["1"], lambda block, index: block)
    assert reader.state_dict().keys() == network.state_dict().keys()
    other = {name: torch.ones_like(tensor) for name, tensor in network.state_dict().items()}
    nn.ModuleDict({"maps": reader}).load_state_dict({f"maps.{n}": t for n, t in other.items()})
    assert all(torch.equal(tensor, other[name]) for name, tensor in reader.state_dict().items())


def test_touched_tensors_are_those_that_the_blocks_need(images):
    network = get_model("resnet18", weights=None).eval()
    with Touched(network) as used:
        read(network, ["layer2"], images)
    expected = {
        name
        for name in network.state_dict()
        if name.startswith(("conv1", "bn1", "layer1", "layer2")) and "num_batches" not in name
    }
    assert used.names == expected
    attention = nn.MultiheadAttention(4, 2, batch_first=True).eval()
    with Touched(attention) as used:
        attention(*(torch.zeros(1, 3, 4),) * 3)
    assert used.names == set(attention.state_dict())


def test_layers_that_are_not_needed_are_dropped(images):
    network = get_model("vgg11", weights=None).eval()
    expected = read(network, ["features.5"], images)["f1"]
    with Touched(network) as used:
        read(network, ["features.5"], images)
    drop_unused(network, used.names)
    assert set(network.state_dict()) == used.names
    assert torch.equal(read(network, ["features.5"], images)["f1"], expected)
