import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, max_pool2d, pad, relu

from posinfo.networks.models.narrow_networks import narrow_resnet18
from posinfo.networks.models.resnet18 import cifar_resnet18
from posinfo.networks.models.shift_invariant import blur_strides, fully_padded, pad_fully

TRI3 = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16


def changed(change, width=4):
    network = cifar_resnet18(width)
    change(network)
    return network


def maps(count=2, channels=4, side=8):
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(0))


def blurred(x):
    kernel = TRI3.expand(x.shape[1], 1, 3, 3)
    return conv2d(pad(x, (1, 1, 1, 1), mode="reflect"), kernel, stride=2, groups=x.shape[1])


def test_blurred_block_against_a_direct_computation():
    block = changed(blur_strides).get_submodule("layer2.0").eval()
    x = maps()
    inner = relu(block.bn1(conv2d(x, block.conv1.weight, padding=1)))
    main = block.bn2(conv2d(blurred(inner), block.conv2[1].weight, padding=1))
    shortcut = block.downsample[2](conv2d(blurred(x), block.downsample[1].weight))
    torch.testing.assert_close(block(x), relu(main + shortcut))


def test_blurring_leaves_blocks_without_a_stride_alone():
    plain, blurred_network = cifar_resnet18(4), changed(blur_strides)
    assert str(plain.get_submodule("layer1")) == str(blurred_network.get_submodule("layer1"))
    assert str(plain.get_submodule("layer3.1")) == str(blurred_network.get_submodule("layer3.1"))
    assert sum(p.numel() for p in plain.parameters()) == sum(
        p.numel() for p in blurred_network.parameters()
    )


@pytest.mark.parametrize("stage", [1, 2])
def test_fully_padded_block_against_a_direct_computation(stage):
    block = changed(pad_fully).get_submodule(f"layer{stage}.0").eval()
    x, stride = maps(), 2 if stage == 2 else 1
    inner = relu(block.bn1(conv2d(x, block.conv1.weight, padding=2, stride=stride)))
    main = block.bn2(conv2d(inner, block.conv2.weight, padding=2))
    if stage == 1:
        shortcut = pad(x, (2, 2, 2, 2))
    else:
        weight = block.downsample.get_submodule("0").weight
        norm = block.downsample.get_submodule("1")
        shortcut = norm(conv2d(pad(x, (3, 3, 3, 3)), weight, stride=2))
    torch.testing.assert_close(block(x), relu(main + shortcut))


def test_fully_padded_stem_pools_without_padding():
    stem = fully_padded(narrow_resnet18, 4)[:4]
    x = maps(channels=3, side=16)
    inner = relu(stem.bn1(conv2d(x, stem.conv1.weight, padding=6, stride=2)))
    torch.testing.assert_close(stem(x), max_pool2d(inner, 2))


PADDINGS = {"full": pad_fully, "zero": lambda network: None}


def influence_of_the_border(padding, seed, statistics=lambda norm: None):
    """How much pooled features change where an object moves, over how much there are without it."""
    canvas = torch.zeros(3, 3, 48, 48, dtype=torch.float64)
    canvas[0, :, :16, :16] = canvas[1, :, 16:32, 24:40] = maps(1, 3, 16)[0].double()
    torch.manual_seed(seed)
    network = changed(PADDINGS[padding], 4).double().eval()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            statistics(layer)
    with torch.inference_mode():
        at_the_border, inside, absent = network(canvas).sum((2, 3))
    return (at_the_border - inside).norm() / (inside - absent).norm()


def trained(norm):
    """Statistics and parameters as they may be after a training."""
    norm.running_mean.uniform_(-0.5, 0.5), norm.running_var.uniform_(0.5, 1.5)
    norm.bias.data.uniform_(-0.5, 0.5), norm.weight.data.uniform_(0.5, 1.5)


def test_full_padding_makes_pooled_features_blind_to_where_an_object_stands_on_zeros():
    """Up to round-off, while batch norms leave the background 0, and at the total stride."""
    assert influence_of_the_border("full", 0) < 1e-12
    assert influence_of_the_border("zero", 0) > 0.05


def test_full_padding_leaves_some_of_the_borders_influence_where_the_background_is_not_zero():
    full, zero = (
        torch.stack([influence_of_the_border(padding, seed, trained) for seed in range(5)])
        for padding in ("full", "zero")
    )
    assert full.min() > 0.1
    assert (full < zero).all()


def test_both_changes_go_together():
    network = changed(pad_fully, 2)
    blur_strides(network)
    assert network(maps(2, 3, 32)).shape == (2, 16, 18, 18)
