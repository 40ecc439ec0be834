import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from posinfo.networks.models.architectures import sketch_network
from posinfo.networks.models.resnet18 import canvas_resnet18


@pytest.mark.parametrize("width", [1, 6, 64])
def test_maps_are_those_of_the_paper(width):
    arch = f"canvas_resnet18(width={width})"
    for side, expected in ((96, 6), (224, 14)):
        maps = sketch_network(arch)(torch.empty(1, 3, side, side, device="meta"))
        assert maps.shape == (1, 8 * width, expected, expected)


def test_full_width_has_the_weights_of_torchvisions_resnet18():
    reference = sketch_network("resnet18").state_dict()
    shared = {name: t.shape for name, t in reference.items() if not name.startswith("fc.")}
    ours = sketch_network("canvas_resnet18").state_dict()
    assert {name: t.shape for name, t in ours.items()} == shared


def test_shortcut_is_a_strided_convolution():
    shortcut = canvas_resnet18(4).get_submodule("layer2.0.downsample").eval()
    maps = torch.rand(2, 4, 7, 8, generator=torch.Generator().manual_seed(0))
    weight = shortcut.get_submodule("0").weight
    expected = shortcut.get_submodule("1")(conv2d(maps, weight, stride=2))
    torch.testing.assert_close(shortcut(maps), expected)


@pytest.mark.parametrize("count", [3, 4])
def test_weight_gradients_of_few_channels_last_in_memory(count):
    """Guards against oneDNN issue 6035: wrong gradients, or a crash of the process."""
    images = torch.rand(count, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    gradients = {}
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        network: nn.Module = canvas_resnet18(4).to(memory_format=layout)
        network(images.to(memory_format=layout)).square().mean().backward()
        gradients[layout] = network.get_submodule("layer2.0.downsample.0").weight.grad
    torch.testing.assert_close(*gradients.values(), rtol=1e-3, atol=1e-6)
