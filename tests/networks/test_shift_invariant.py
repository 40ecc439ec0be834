import pytest
import torch
from torch.nn.functional import conv2d, pad, relu

from posinfo.networks.resnet18 import cifar_resnet18
from posinfo.networks.shift_invariant import blur_strides, pad_fully

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


def test_full_padding_makes_pooled_features_blind_to_where_an_image_stands():
    """Bit-identical, where the image is far from the border and shifted by the total stride."""
    canvas = torch.zeros(2, 3, 48, 48, dtype=torch.float64)
    canvas[0, :, :16, :16] = canvas[1, :, 16:32, 24:40] = maps(1, 3, 16)[0].double()
    features = {}
    for name, change in (("full", pad_fully), ("zero", lambda network: None)):
        torch.manual_seed(0)
        network = changed(change, 2).double().eval()
        features[name] = network(canvas).sum((2, 3))
    torch.testing.assert_close(*features["full"], rtol=1e-12, atol=1e-12)
    assert (features["zero"][0] - features["zero"][1]).abs().max() > 1e-6


def test_both_changes_go_together():
    network = changed(pad_fully, 2)
    blur_strides(network)
    assert network(maps(2, 3, 32)).shape == (2, 16, 18, 18)
