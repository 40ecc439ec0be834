import pytest
import timm
import torch
from torch import nn
from torch.nn import functional
from torchvision.models import resnet18

from posinfo.networks.surgery.padded_layers import even_sizes, padded_layers
from posinfo.networks.surgery.padding import repad


def images(side, channels=3):
    return torch.zeros(1, channels, side, side)


def by_activation(network, side):
    """Rows and columns of zeros that windows of a convolution read at each border of a map of ones.

    A kernel of ones counts the ones below it, so that each lacking one is a padded pixel.
    """
    with torch.no_grad():
        maps = network(torch.ones(1, 1, side, side))[0, 0]
    middle = maps[len(maps) // 2]
    window = network[0].kernel_size[0]
    # zeros in the first and last window of the middle row
    return round(window - float(middle[0]) / window), round(window - float(middle[-1]) / window)


@pytest.mark.parametrize(("side", "used"), [(224, (3, 2)), (225, (3, 3))])
def test_stem_of_a_resnet_is_even_at_225_px(side, used):
    (call,) = padded_layers(nn.Sequential(nn.Conv2d(3, 4, 7, 2, 3)), images(side))
    assert call.used == (*used, *used)
    assert call.even == (used[0] == used[1])
    assert (call.layer, call.sides, call.window, call.stride) == ("0", (side, side), (7, 7), (2, 2))


@pytest.mark.parametrize("side", range(11, 24))
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 1), (5, 2, 2), (7, 4, 3)])
def test_formula_agrees_with_the_activations_of_a_kernel_of_ones(side, kernel, stride, padding):
    conv = nn.Conv2d(1, 1, kernel, stride, padding, bias=False)
    nn.init.ones_(conv.weight)
    network = nn.Sequential(conv)
    (call,) = padded_layers(network, images(side, 1))
    assert by_activation(network, side) == tuple(max(0, edge) for edge in call.used[:2])


def test_rows_and_columns_have_edges_of_their_own():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1))
    for sides, used in (((8, 9), (1, 1, 1, 0)), ((9, 8), (1, 0, 1, 1))):
        (call,) = padded_layers(network, torch.zeros(1, 3, *sides))
        assert (call.sides, call.used, call.even) == (sides, used, False)


def test_rows_that_no_window_reads_are_negative_padding():
    (call,) = padded_layers(nn.Sequential(nn.Conv2d(3, 1, 3, 4, 1)), images(8))
    assert call.used == (1, -2, 1, -2)  # windows end at rows 1 and 5 of 0..7


@pytest.mark.parametrize(("side", "used"), [(224, (0, 1)), (225, (1, 1))])
def test_padding_before_a_convolution_is_its_own(side, used):
    network = timm.create_model("tf_efficientnet_lite0").eval()
    stem = padded_layers(network, images(side))[0]
    assert (stem.layer, stem.function, stem.used) == ("conv_stem", "conv2d", (*used, *used))


def test_modes_dilation_and_pooling_are_seen():
    class Padding(nn.Module):
        def forward(self, maps):
            maps = functional.pad(maps, (1, 2, 0, 0), mode="reflect")
            maps = functional.avg_pool2d(maps, 3, stride=1)
            return functional.max_pool2d(maps, 3, 2, ceil_mode=True)

    network = nn.Sequential(nn.Conv2d(3, 3, 3, padding=2, dilation=2), Padding())
    conv, average, maximum = padded_layers(network, images(16))
    assert (conv.window, conv.edges) == ((5, 5), (2, 2, 2, 2))
    assert (average.layer, average.mode, average.edges) == ("1", "reflect", (1, 2, 0, 0))
    assert not average.even
    assert maximum.mode == "-inf"
    assert maximum.used == (0, 0, 0, 1)  # 16 columns, 14 rows: the last window stands out below


def test_unpadded_and_circularly_padded_networks():
    assert padded_layers(nn.Sequential(nn.Conv2d(3, 3, 3), nn.MaxPool2d(2)), images(16)) == []
    circular = nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular")
    (call,) = padded_layers(nn.Sequential(circular), images(16))
    assert (call.mode, call.even) == ("circular", True)


def test_padding_that_no_window_reads_stands_for_itself():
    network = nn.Sequential(nn.ReflectionPad2d(3), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 7)).eval()
    (call,) = padded_layers(network, images(16))
    assert (call.layer, call.function, call.mode) == ("0", "pad", "reflect")
    assert (call.edges, call.used, call.even) == ((3, 3, 3, 3), (3, 3, 3, 3), True)


@pytest.mark.parametrize(("padding", "modes"), [("none", []), ("reflect", ["reflect"] * 2)])
def test_padding_of_a_repadded_network_is_its_own(padding, modes):
    network = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, 2, padding=1))
    found = padded_layers(repad(network, padding), images(17))
    assert [call.mode for call in found] == modes
    assert [call.layer for call in found] == ["0", "1"][: len(modes)]


def test_nothing_is_computed_on_the_meta_device_and_numbers_are_the_same():
    network = resnet18()
    on_cpu = padded_layers(network.eval(), images(64))
    assert padded_layers(network.to("meta"), torch.zeros(1, 3, 64, 64, device="meta")) == on_cpu


def test_nearest_even_sizes():
    network = resnet18().to("meta").eval()
    sizes = even_sizes(network, lambda side: images(side).to("meta"), 224, 40)
    assert sizes == [225, 193]
    for side in sizes:
        calls = padded_layers(network, images(side).to("meta"))
        assert all(call.even for call in calls)
    assert even_sizes(network, lambda side: images(side).to("meta"), 224, 0) == []


@pytest.mark.parametrize("error", [AssertionError, IndexError, ValueError])
def test_sizes_that_a_network_refuses_are_passed_over(error):
    class Picky(nn.Conv2d):
        def forward(self, maps):
            if maps.shape[2] <= 20:
                raise error("too small")
            return super().forward(maps)

    network = nn.Sequential(Picky(3, 3, 3, 2, 1))
    assert even_sizes(network, images, 20, 5) == [21, 23]
