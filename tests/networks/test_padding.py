import pytest
import torch
from torch import nn

from posinfo.networks.padding import PADDINGS, repad


@pytest.fixture
def network(generator):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1), nn.Conv2d(4, 5, 3)
    ).eval()


@pytest.mark.parametrize("kind", PADDINGS)
def test_repad_keeps_weights_and_leaves_the_original_alone(network, kind):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    padding = network[0].padding
    repadded = repad(network, kind)
    assert repadded.state_dict().keys() == before.keys()
    for name, tensor in repadded.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert network[0].padding == padding
    assert repadded.get_submodule("0").weight is not network[0].weight


def test_zero_is_the_network_as_built(network, generator):
    images = torch.randn(2, 3, 9, 9, generator=generator)
    assert torch.equal(repad(network, "zero")(images), network(images))


def test_none_equals_a_network_built_without_padding(network, generator):
    built = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(4, 5, 3))
    built.load_state_dict(network.state_dict())
    images = torch.randn(2, 3, 15, 15, generator=generator)
    assert torch.equal(repad(network, "none")(images), built(images))


def test_without_padding_a_constant_image_gives_constant_features(network):
    features = repad(network, "none")(torch.ones(1, 3, 15, 15))
    torch.testing.assert_close(features, features[:, :, :1, :1].expand_as(features))
    padded = repad(network, "zero")(torch.ones(1, 3, 15, 15))
    assert (padded.amax((2, 3)) - padded.amin((2, 3))).max() > 0.01


def test_unknown_padding_is_refused(network):
    with pytest.raises(ValueError, match="^padding must be one of zero, none, .*; got 'zeros' "):
        repad(network, "zeros")
