import pytest
import torch
from torch.nn.functional import avg_pool2d, conv2d, max_pool2d

from posinfo.networks.surgery.padding_edges import conv_edges, pair, pool_edges


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 5), (3, 4)])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_same_padding_is_what_pytorch_adds(kernel, dilation, generator):
    maps, weight = torch.randn(1, 1, 11, 13), torch.randn(1, 1, *kernel)
    edges = conv_edges(kernel, "same", dilation)
    padded = conv2d(torch.nn.functional.pad(maps, edges), weight, dilation=dilation)
    torch.testing.assert_close(padded, conv2d(maps, weight, padding="same", dilation=dilation))


@pytest.mark.parametrize(
    ("padding", "edges"),
    [("valid", (0, 0, 0, 0)), (2, (2, 2, 2, 2)), ((1, 2), (2, 2, 1, 1)), ([3], (3, 3, 3, 3))],
)
def test_edges_of_a_convolution(padding, edges):
    assert conv_edges((3, 3), padding, 1) == edges


@pytest.mark.parametrize("side", range(5, 14))
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1])
def test_overhang_of_ceil_mode_is_what_pytorch_lets_stand_out(side, stride, padding, generator):
    maps = torch.rand(1, 1, side, side, generator=generator)
    edges = pool_edges((side, side), 3, stride, padding, 1, True)
    padded = torch.nn.functional.pad(maps, edges)
    expected = max_pool2d(maps, 3, stride, padding, ceil_mode=True)
    torch.testing.assert_close(max_pool2d(padded, 3, stride), expected)
    inside = avg_pool2d(torch.ones(1, 1, side, side), 3, stride, padding, True)
    assert inside.shape == avg_pool2d(padded, 3, stride).shape


def test_pool_without_stride_moves_by_its_window():
    assert pool_edges((7, 8), (2, 3), None, (1, 0), 1, True) == (0, 1, 1, 2 - 1)


def test_pair():
    assert pair(2) == pair((2,)) == pair([2, 2]) == (2, 2)
    assert pair((1, 2)) == (1, 2)
