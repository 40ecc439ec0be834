from functools import lru_cache

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from posinfo.networks.models.architectures import build_network
from posinfo.networks.surgery.block_reader import BlockReader
from posinfo.networks.surgery.dry_run import find_layers
from posinfo.networks.surgery.padding import PADDINGS, repad

FAMILIES = [
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3",
    "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_large", "regnet_y_400mf", "resnet18",
    "resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_0", "vgg11_bn",
]  # fmt: skip
NUMPY_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


class Reference(TorchFunctionMode):
    """Runs an untouched network with another padding, written down with NumPy and slices."""

    def __init__(self, kind):
        self.kind = kind

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "conv2d":
            return self.convolve(func, *args)
        if name in ("max_pool2d", "avg_pool2d"):
            return self.pool(func, name, *args, **kwargs)
        if self.kind == "none" and name in ("add", "iadd", "__add__", "__iadd__", "add_"):
            args = self.centred(args)
            return (
                args[0] + args[1]
                if not isinstance(args[1], torch.Tensor)
                else torch.sub(args[0], -args[1])
            )
        if self.kind == "none" and name == "cat":
            return func(self.centred(args[0]), *args[1:], **kwargs)
        return func(*args, **kwargs)

    def convolve(self, func, x, weight, bias, stride, padding, dilation, groups):
        if max(padding) == 0:
            return func(x, weight, bias, stride, padding, dilation, groups)
        if self.kind != "partial":
            padded = self.pad(x, padding)
            return func(padded, weight, bias, stride, (0, 0), dilation, groups)
        height, width = weight.shape[2:]
        ones = functional.pad(torch.ones_like(x[:1, :1]), (padding[1],) * 2 + (padding[0],) * 2)
        patches = functional.unfold(ones, (height, width), dilation, 0, stride)
        plain = func(x, weight, None, stride, padding, dilation, groups)
        scale = height * width / patches.sum(1).view(1, 1, *plain.shape[2:])
        return plain * scale + (0 if bias is None else bias.view(1, -1, 1, 1))

    def pool(self, func, name, x, kernel_size, stride=None, padding=0, *more, **kwargs):
        names = ("dilation", "ceil_mode") if name == "max_pool2d" else ("ceil_mode",)
        kwargs = dict(zip(names, more, strict=False)) | kwargs
        k, s, p = (
            v if isinstance(v, int) else v[0] for v in (kernel_size, stride or kernel_size, padding)
        )
        ceil = kwargs.get("ceil_mode", False)
        if self.kind == "none":
            return func(x, k, s)
        if self.kind == "partial":
            if name == "max_pool2d" or p == 0:
                return func(x, k, s, p, ceil_mode=ceil)
            inside = func(torch.ones_like(x), k, s, p, ceil_mode=ceil)
            return func(x, k, s, p, ceil_mode=ceil) / inside
        side = func(x, k, s, p, ceil_mode=ceil).shape[-1]
        more = max(0, (side - 1) * s + k - x.shape[-1] - 2 * p)
        return func(self.pad(x, (p, p), more), k, s)

    def pad(self, x, padding, more=0):
        if self.kind == "none":
            return x
        widths = [(0, 0), (0, 0), *((side, side + more) for side in padding)]
        return torch.from_numpy(np.pad(x.numpy(), widths, mode=NUMPY_MODES[self.kind]))

    def centred(self, tensors):
        if not all(isinstance(t, torch.Tensor) and t.ndim == 4 for t in tensors):
            return tensors
        side = min(t.shape[-1] for t in tensors)
        cropped = []
        for t in tensors:
            start = (t.shape[-1] - side) // 2
            cropped.append(t[:, :, start : start + side, start : start + side])
        return cropped


@lru_cache(maxsize=1)
def trunk(arch, size, depth=None):
    """A network that tests only read, and its blocks; built once for all kinds of padding."""
    torch.manual_seed(0)
    layers = find_layers(arch, "default", size)
    network = build_network(arch)
    for name, parameter in network.named_parameters():
        if name.endswith("layer_scale"):  # at its initial 1e-6, no block of a ConvNeXt matters
            nn.init.ones_(parameter)
    return network, layers[:depth]


def blocks_of(network, layers, images):
    with torch.no_grad():
        return BlockReader(network, layers, lambda block, index: block)(images)


@pytest.fixture
def network(generator):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1), nn.Conv2d(4, 5, 3)
    ).eval()


@pytest.mark.parametrize("kind", ["reflect", "replicate", "circular", "partial"])
@pytest.mark.parametrize("arch", FAMILIES)
def test_repadded_network_equals_a_direct_computation(arch, kind, generator):
    network, layers = trunk(arch, 128)
    images = torch.randn(1, 3, 128, 128, generator=generator)
    ours = blocks_of(repad(network, kind), layers, images)
    with Reference(kind):
        expected = blocks_of(network, layers, images)
    built = blocks_of(network, layers, images)
    for name, block in expected.items():
        scale = block.abs().max().item()
        torch.testing.assert_close(ours[name], block, rtol=1e-4, atol=1e-5 * scale)
    last = list(expected)[-1]
    assert (built[last] - expected[last]).abs().max() > 5e-5 * expected[last].abs().max()


@pytest.mark.parametrize("arch", FAMILIES)
def test_network_without_padding_equals_a_direct_computation(arch, generator):
    network, layers = trunk(arch, 299, depth=2)
    images = torch.randn(1, 3, 299, 299, generator=generator)
    ours = blocks_of(repad(network, "none"), layers, images)
    with Reference("none"):
        expected = blocks_of(network, layers, images)
    for name, block in expected.items():
        scale = block.abs().max().item()
        torch.testing.assert_close(ours[name], block, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize(
    ("arch", "size"), [("alexnet", 288), ("vgg11", 224), ("resnet18", 512), ("googlenet", 448)]
)
def test_network_without_padding_follows_every_shift(arch, size, generator):
    """No border, no position: shifted by the total stride, only the view changes."""
    images = torch.randn(1, 3, size, size, generator=generator)
    network, layers = trunk(arch, size)
    network = repad(network, "none")
    whole = blocks_of(network, layers, images)
    shifted = blocks_of(network, layers, images[:, :, 32:, 32:])
    last = list(whole)[-1]
    side, scale = shifted[last].shape[-1], whole[last].abs().max().item()
    torch.testing.assert_close(
        shifted[last], whole[last][:, :, -side:, -side:], rtol=1e-3, atol=1e-4 * scale
    )


@pytest.mark.parametrize("arch", ["vgg11", "resnet18", "densenet121", "mobilenet_v2"])
def test_circular_networks_commute_with_circular_shifts_and_zero_padded_ones_do_not(
    arch, generator
):
    images = torch.randn(1, 3, 128, 128, generator=generator)
    moved = images.roll((32, 64), (2, 3))
    for kind, commutes in (("circular", True), ("zero", False)):
        network, layers = trunk(arch, 128)
        network = repad(network, kind)
        still, shifted = (blocks_of(network, layers, seen) for seen in (images, moved))
        for name, block in still.items():
            step = 128 // block.shape[-1]
            expected = block.roll((32 // step, 64 // step), (2, 3))
            close = torch.allclose(
                shifted[name], expected, rtol=1e-3, atol=1e-4 * block.abs().max().item()
            )
            assert close == commutes, (kind, name)


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
    assert not any(module.training for module in repadded.modules())


@pytest.mark.parametrize("kind", ["as_built", "zero"])
def test_zero_is_how_a_zero_padded_network_was_built(network, kind, generator):
    images = torch.randn(2, 3, 9, 9, generator=generator)
    assert torch.equal(repad(network, kind)(images), network(images))


@pytest.mark.parametrize("pads", ["layer", "pad"])
def test_zero_is_zero_also_where_a_network_was_built_with_reflection(pads, generator):
    reflecting = {
        "layer": lambda: nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
        "pad": lambda: nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(3, 4, 3)),
    }[pads]()
    plain = nn.Conv2d(3, 4, 3, padding=1)
    plain.load_state_dict({n.removeprefix("1."): t for n, t in reflecting.state_dict().items()})
    images = torch.randn(2, 3, 9, 9, generator=generator)
    torch.testing.assert_close(repad(reflecting, "zero")(images), plain(images))
    assert torch.equal(repad(reflecting, "as_built")(images), reflecting(images))
    assert not torch.allclose(reflecting(images), plain(images), atol=1e-3)


def test_none_equals_a_network_built_without_padding(network, generator):
    built = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(4, 5, 3))
    built.load_state_dict(network.state_dict())
    images = torch.randn(2, 3, 15, 15, generator=generator)
    assert torch.equal(repad(network, "none")(images), built(images))


def test_reflect_equals_a_network_built_that_way(network, generator):
    built = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
        nn.ReLU(),
        nn.ReflectionPad2d(1),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(4, 5, 3),
    )
    built[0].load_state_dict(network[0].state_dict())
    built[4].load_state_dict(network[3].state_dict())
    images = torch.randn(2, 3, 15, 15, generator=generator)
    torch.testing.assert_close(repad(network, "reflect")(images), built(images))


def ones_layer(**settings):
    layer = nn.Conv2d(1, 1, 3, **settings)
    nn.init.ones_(layer.weight)
    nn.init.constant_(layer.bias, 0.5)
    return layer


def test_partial_convolution_of_ones_by_hand():
    layer = repad(ones_layer(padding=1), "partial")
    torch.testing.assert_close(layer(torch.ones(1, 1, 4, 4)), torch.full((1, 1, 4, 4), 9.5))


def test_partial_convolution_is_zero_where_a_window_holds_no_pixel():
    """As in the published code, without the bias."""
    outputs = repad(ones_layer(padding=3), "partial")(torch.ones(1, 1, 4, 4))
    expected = torch.zeros(8, 8)
    expected[1:7, 1:7] = 9.5
    torch.testing.assert_close(outputs[0, 0], expected)


def test_partial_convolution_knows_what_was_padded_beforehand():
    padded = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), ones_layer(stride=2))
    outputs = repad(padded, "partial")(torch.ones(1, 1, 4, 4))
    torch.testing.assert_close(outputs, torch.full((1, 1, 2, 2), 9.5))


@pytest.mark.parametrize(
    "pads",
    [
        [nn.ZeroPad2d((0, 1, 0, 0)), nn.ZeroPad2d((0, 0, 0, 1))],
        [nn.ZeroPad2d((1, 1, 1, 1)), nn.ZeroPad2d((-1, 0, -1, 0))],
        [nn.ZeroPad2d((0, 2, 0, 2)), nn.ZeroPad2d((0, -1, 0, -1))],
    ],
)
def test_partial_convolution_knows_what_was_padded_and_cropped_in_several_steps(pads):
    network = nn.Sequential(*pads, ones_layer(stride=2))
    outputs = repad(network, "partial")(torch.ones(1, 1, 4, 4))
    torch.testing.assert_close(outputs, torch.full((1, 1, 2, 2), 9.5))


@pytest.mark.parametrize("value", [0, -float("inf")])
def test_partial_max_pool_does_not_see_what_was_padded_beforehand(value, generator):
    maps = -torch.rand(1, 2, 6, 6, generator=generator) - 1
    network = nn.Sequential(nn.ConstantPad2d(1, value), nn.MaxPool2d(3, 2))
    expected = functional.max_pool2d(maps, 3, 2, padding=1)[:, :, :3, :3]
    torch.testing.assert_close(repad(network, "partial")(maps), expected)
    wide = nn.Sequential(nn.ZeroPad2d((1, 1, 1, 1)), nn.ZeroPad2d(3), nn.MaxPool2d(2, 2))
    pooled = repad(wide, "partial")(maps)
    assert pooled.shape == (1, 2, 7, 7) and (pooled[:, :, 0] == 0).all()


@pytest.mark.parametrize("settings", [{}, {"divisor_override": 4}, {"count_include_pad": False}])
def test_partial_average_is_that_of_the_pixels_inside(settings):
    """A divisor of the network's own stays what it is for windows inside of the map."""
    maps = torch.full((1, 1, 6, 6), 2.0)
    pool = nn.AvgPool2d(3, 2, padding=1, **settings)
    pooled = repad(pool, "partial")(maps)
    inside = 2.0 * 9 / settings.get("divisor_override", 9)
    torch.testing.assert_close(pooled, torch.full((1, 1, 3, 3), inside))


@pytest.mark.parametrize("kind", ["circular", "partial"])
def test_one_image_without_a_batch_is_padded_as_one_in_a_batch(kind, network, generator):
    image = torch.randn(3, 11, 11, generator=generator)
    repadded = repad(network, kind)
    torch.testing.assert_close(repadded(image), repadded(image[None])[0])


def test_without_padding_a_constant_image_gives_constant_features(network):
    features = repad(network, "none")(torch.ones(1, 3, 15, 15))
    torch.testing.assert_close(features, features[:, :, :1, :1].expand_as(features))
    padded = repad(network, "zero")(torch.ones(1, 3, 15, 15))
    assert (padded.amax((2, 3)) - padded.amin((2, 3))).max() > 0.01


def test_network_without_padded_layers_says_so():
    with pytest.raises(ValueError) as raised:
        repad(nn.Sequential(nn.Conv2d(3, 4, 3)), "circular")(torch.zeros(1, 3, 8, 8))
    assert str(raised.value) == (
        "padding 'circular': this network has no padded layer, there is nothing to pad; "
        "if its positions come from an embedding, as those of a ViT, `positions: none` removes it"
    )


def test_zeros_may_stand_where_there_is_nothing_to_pad(generator):
    network, images = nn.Sequential(nn.Conv2d(3, 4, 3)), torch.randn(2, 3, 8, 8)
    assert torch.equal(repad(network, "zero")(images), network(images))


def test_unknown_padding_is_refused(network):
    with pytest.raises(
        ValueError, match="^padding must be one of as_built, zero, none, .*; got 'zeros' "
    ):
        repad(network, "zeros")
