import pytest
import torch
from torch import nn
from torchvision.models import densenet121, resnet18

from posinfo.networks.models.architectures import build_network
from posinfo.networks.surgery.observed import OUTPUT, Observed
from posinfo.networks.surgery.reach import probe_reach

IMAGES = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))


def same_weights(own: nn.Module, other: nn.Module) -> None:
    """Give a network the weights of another, in their order."""
    state = dict(zip(own.state_dict(), other.state_dict().values(), strict=False))
    own.load_state_dict(state)


def test_at_full_width_resnet18_is_torchvision_s():
    own, other = build_network("narrow_resnet18"), resnet18().eval()
    same_weights(own, other)
    body = nn.Sequential(*list(other.children())[:-2])
    with torch.inference_mode():
        torch.testing.assert_close(own(IMAGES), body(IMAGES), rtol=1e-4, atol=1e-5)


def test_at_full_width_densenet121_is_torchvision_s():
    own, other = build_network("narrow_densenet121"), densenet121().eval()
    same_weights(own, other)
    with torch.inference_mode():
        torch.testing.assert_close(own(IMAGES), other.features(IMAGES).relu())


@pytest.mark.parametrize(
    ("arch", "stride", "field", "channels"),
    [
        ("bagnet33(width=4)", 8, 33, 128),
        ("narrow_resnet18(width=4)", 32, 435, 32),
        ("narrow_densenet121(width=8)", 32, 2071, 128),
    ],
)
def test_strides_and_fields_are_those_of_the_papers(arch, stride, field, channels):
    network = build_network(arch)
    reach = probe_reach(Observed(network)).reaches[OUTPUT]
    assert (reach.stride, reach.field) == (stride, field)
    with torch.inference_mode():
        assert network(IMAGES).shape[1] == channels


def test_bagnet33_sees_neighbours_in_five_layers_and_pads_in_none():
    layers = [each for each in build_network("bagnet33").modules() if isinstance(each, nn.Conv2d)]
    sizes = [layer.kernel_size for layer in layers]
    assert sizes.count((3, 3)) == 5 and set(sizes) == {(1, 1), (3, 3)}
    assert {layer.padding for layer in layers} == {(0, 0)}
    assert len(layers) == 2 + 3 * 16 + 4  # stem, sixteen blocks, a projection in each stage
