"""Receptive fields by NaN against arithmetic, gradients, and networks without an end."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torchvision.models import resnet18, vgg11

from posinfo.networks.surgery.observed import Observed
from posinfo.networks.surgery.padding import repad
from posinfo.networks.surgery.reach import Reach, probe_reach


def chain(*layers):
    """Convolutions (kernel, stride, padding, dilation), a ReLU behind each."""
    parts: list[nn.Module] = []
    for channels, layer in zip([3, *[2] * len(layers)], layers, strict=False):
        kernel, stride, padding, dilation = layer
        parts += [nn.Conv2d(channels, 2, kernel, stride, padding, dilation), nn.ReLU6()]
    return nn.Sequential(*parts).eval()


def by_arithmetic(layers):
    """Stride, first and last column that pixel 0 of the map depends on (Araujo et al., 2019)."""
    jump, first, last = 1, 0, 0
    for kernel, stride, padding, dilation in layers:
        first -= jump * padding
        last += jump * (dilation * (kernel - 1) - padding)
        jump *= stride
    return jump, first, last


@pytest.mark.parametrize(
    "layers",
    [
        [(1, 1, 0, 1)], [(3, 1, 1, 1)], [(3, 1, 0, 1), (5, 1, 2, 1)], [(3, 1, 2, 2)],
        [(3, 2, 1, 1)], [(7, 2, 3, 1), (3, 2, 1, 1), (3, 1, 1, 1)], [(2, 2, 0, 1), (3, 2, 0, 1)],
        [(4, 4, 0, 1), (3, 1, 1, 1), (2, 2, 0, 1)],
    ],
)  # fmt: skip
def test_reach_of_a_chain_is_that_of_arithmetic(layers):
    stride, first, last = by_arithmetic(layers)
    found = probe_reach(Observed(chain(*layers))).reaches["output"]
    before = stride * (last // stride)
    after = stride * (-(first // stride) if first < 0 else 0)
    assert found == Reach(stride, before, after, last - first + 1)


def test_reach_agrees_with_gradients():
    network = chain((3, 1, 1, 1), (5, 2, 2, 1), (3, 1, 1, 1))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1e-2)  # positive, and far from 6: no path is closed
            nn.init.ones_(module.bias)
    images = torch.zeros(1, 3, 64, 64, requires_grad=True)
    network[:-1](images)[0, 0, 16, 16].backward()
    columns = images.grad.abs().sum((0, 1, 2)).nonzero().flatten()
    field = int(columns[-1] - columns[0]) + 1
    assert probe_reach(Observed(network)).reaches["output"].field == field


def test_layers_of_known_networks():
    network = resnet18().eval()
    layers = [f"layer{stage}" for stage in range(1, 5)]
    spread = probe_reach(Observed(network, layers))
    assert [spread.reaches[name].field for name in layers] == [43, 99, 211, 435]
    assert [spread.reaches[name].stride for name in layers] == [4, 8, 16, 32]
    assert spread.reaches["output"] == Reach(None, None, None, None)
    assert (spread.layer, spread.kind) == ("avgpool", "AdaptiveAvgPool2d")
    features = vgg11().features.eval()
    assert probe_reach(Observed(features)).reaches["output"].field == 150


class SqueezeAndExcitation(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Conv2d(3, 3, 1)

    def forward(self, maps):
        return maps * self.scale(maps.mean((2, 3), keepdim=True)).sigmoid()


class Attention(nn.Module):
    def forward(self, maps):
        tokens = maps.flatten(2)
        weights = (tokens.transpose(1, 2) @ tokens).softmax(-1)
        return (tokens @ weights).view_as(maps)


@pytest.mark.parametrize(
    "layer",
    [
        nn.InstanceNorm2d(3), nn.GroupNorm(3, 3), SqueezeAndExcitation(), Attention(),
    ],
    ids=lambda layer: type(layer).__name__,
)  # fmt: skip
def test_what_averages_over_the_map_has_no_end_and_is_named(layer):
    network = nn.Sequential(nn.Conv2d(3, 3, 8, stride=8), nn.Sequential(layer)).eval()
    spread = probe_reach(Observed(network, ["0"]))
    assert spread.reaches["0"].field == 8
    assert spread.reaches["output"] == Reach(8, None, None, None)
    assert spread.reaches["output"].margin is None
    assert (spread.layer, spread.kind) == ("1.0", type(layer).__name__)
    assert spread.width == 512  # attention is quadratic in the width


def test_field_larger_than_the_first_strips_is_found():
    network = chain(*[(3, 1, 32, 32)] * 9)
    spread = probe_reach(Observed(network))
    assert (spread.reaches["output"].field, spread.width) == (2 * 9 * 32 + 1, 1024)
    assert spread.layer is None


def test_batch_norm_and_activations_let_nan_through_and_reach_no_further():
    layers = [nn.BatchNorm2d(3), nn.ReLU(), nn.ReLU6(), nn.Hardswish(), nn.GELU(), nn.SiLU()]
    layers += [nn.Hardsigmoid(), nn.ELU(), nn.MaxPool2d(3, 1, 1), nn.AvgPool2d(3, 1, 1)]
    spread = probe_reach(Observed(nn.Sequential(*layers).eval()))
    assert spread.reaches["output"] == Reach(1, 2, 2, 5)
    assert spread.layer is None


def test_margin_is_the_larger_side():
    spread = probe_reach(Observed(chain((4, 1, 1, 1))))
    reach = spread.reaches["output"]
    assert (reach.before, reach.after, reach.margin) == (2, 1, 2)


def test_strips_leave_weights_and_layers_as_they_are():
    network = chain((3, 1, 1, 1))
    before = {name: each.clone() for name, each in network.state_dict().items()}
    probe_reach(Observed(network))
    assert all(before[name].equal(each) for name, each in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


def test_images_of_a_fixed_size_alone():
    class Fixed(nn.Conv2d):
        def forward(self, maps):
            assert maps.shape[2:] == (64, 64), "64 px alone"
            return super().forward(maps)

    with pytest.raises(ValueError, match="the network takes no strips of 512 px: 64 px alone"):
        probe_reach(Observed(nn.Sequential(Fixed(3, 3, 3))))


@pytest.mark.parametrize("error", [AssertionError, IndexError])
def test_images_of_some_sizes_alone(error):
    class Windows(nn.Conv2d):
        def forward(self, maps):
            if maps.shape[3] % 128:
                raise error
            return super().forward(maps)

    with pytest.raises(ValueError, match=f"no strips of 576 px: {error.__name__}"):
        probe_reach(Observed(nn.Sequential(Windows(3, 3, 3))))


def test_a_window_as_large_as_the_strip_has_an_end():
    network = nn.Sequential(nn.Conv2d(3, 1, (1, 601), padding=(0, 300)))
    reach = probe_reach(Observed(network)).reaches["output"]
    assert (reach.before, reach.after, reach.field) == (300, 300, 601)


def test_upsampling_has_the_stride_of_its_output():
    network = nn.Sequential(nn.Conv2d(3, 3, 2, 2), nn.Upsample(scale_factor=2)).eval()
    reach = probe_reach(Observed(network)).reaches["output"]
    assert (reach.stride, reach.before, reach.after) == (1, 0, 0)


def test_fields_grow_with_depth():
    network = chain(*[(3, 1, 1, 1)] * 4)
    names = ["0", "2", "4", "6"]
    reaches = probe_reach(Observed(network, names)).reaches
    fields = [reaches[name].field for name in names]
    assert fields == [3, 5, 7, 9]
    assert all(small < large for small, large in pairwise(fields))


def test_circular_padding_has_no_end_in_a_strip():
    network = repad(nn.Sequential(nn.Conv2d(3, 2, 3, padding=1)).eval(), "circular")
    assert probe_reach(Observed(network)).reaches["output"] == Reach(1, None, None, None)


def test_wide_dilation_behind_a_stride_is_not_cut_off():
    network = chain((8, 8, 0, 1), (3, 1, 36, 36))
    assert probe_reach(Observed(network)).reaches["output"] == Reach(8, 288, 288, 584)


@pytest.mark.parametrize("stride", [3, 9, 14, 15, 18])
def test_strides_that_are_no_power_of_two(stride):
    spread = probe_reach(Observed(chain((stride, stride, 0, 1))))
    assert spread.reaches["output"] == Reach(stride, 0, 0, stride)
    assert spread.period == stride


class Decoder(nn.Module):
    """As a U-Net: one scale below, and a skip connection."""

    def __init__(self, mode):
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 3, 3, 2, 1), nn.Upsample(scale_factor=2, mode=mode)
        self.skip = nn.Conv2d(3, 3, 1)

    def forward(self, images):
        return self.up(self.down(images)) + self.skip(images)


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_decoders_have_the_period_of_their_encoder(mode):
    network = Decoder(mode).eval()
    spread = probe_reach(Observed(network, ["down"]))
    assert (spread.reaches["output"].stride, spread.period) == (1, 2)
    images = torch.zeros(1, 3, 64, 64, requires_grad=True)
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    fields = []
    for column in (30, 31):
        (gradient,) = torch.autograd.grad(network(images)[0, 0, 32, column], images)
        touched = gradient.abs().sum((0, 1, 2)).nonzero().flatten()
        fields.append(int(touched[-1] - touched[0]) + 1)
    assert spread.reaches["output"].field == max(fields)


def test_maps_finer_than_the_image_have_no_stride():
    network = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2)).eval()
    spread = probe_reach(Observed(network, ["0"]))
    assert spread.reaches["0"].field == 3
    assert spread.reaches["output"] == Reach(None, None, None, None)
