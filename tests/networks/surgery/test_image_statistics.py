import pytest
import torch
from torch import nn
from torch.nn import functional

from posinfo.networks.surgery.image_statistics import ImageStatistics


@pytest.fixture
def maps(generator):
    return torch.randn(2, 4, 6, 8, generator=generator) * 3 + 1


def affine(norm, generator):
    for parameter in norm.parameters():
        nn.init.normal_(parameter, generator=generator)
    return norm.eval()


@pytest.mark.parametrize(
    "norm",
    [nn.GroupNorm(2, 4), nn.GroupNorm(1, 4, affine=False), nn.InstanceNorm2d(4),
     nn.InstanceNorm2d(4, affine=True, eps=1e-2),
     nn.InstanceNorm2d(4, track_running_stats=True)],
    ids=str,
)  # fmt: skip
def test_norms_are_those_of_pytorch(norm, maps, generator):
    with torch.no_grad():
        expected = affine(norm, generator)(maps)
        with ImageStatistics():
            found = norm(maps)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


class Pools(nn.Module):
    def forward(self, maps):
        pooled = functional.adaptive_avg_pool2d(maps, 1) + maps.mean((2, 3), keepdim=True)
        return maps * (pooled + maps.mean(dim=(-2, -1), keepdim=True))


@pytest.mark.parametrize("layer", [nn.GroupNorm(2, 4), nn.InstanceNorm2d(4), Pools()], ids=str)
def test_a_tile_gets_the_averages_of_the_whole_image(layer, maps):
    with ImageStatistics() as whole:
        expected = layer(maps)
    plain = layer(maps[..., :3])
    with ImageStatistics(whole.kept):
        tile = layer(maps[..., :3])
    torch.testing.assert_close(tile, expected[..., :3], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(plain, expected[..., :3], atol=1e-2)


def test_averages_of_several_layers_are_told_apart(maps):
    network = nn.Sequential(nn.InstanceNorm2d(4), nn.ReLU(), Pools(), nn.GroupNorm(2, 4))
    with ImageStatistics() as whole:
        expected = network(maps)
    with ImageStatistics(whole.kept):
        torch.testing.assert_close(network(maps), expected)
    assert len(whole.kept) == 5


def test_other_means_and_pools_and_running_statistics_are_left_alone(maps):
    norm = nn.InstanceNorm2d(4, track_running_stats=True).eval()
    with ImageStatistics() as whole:
        norm(maps)
        maps.mean()
        maps.mean(1)
        maps.mean((1, 2))
        functional.adaptive_avg_pool2d(maps, 2)
        functional.adaptive_avg_pool2d(maps, (1, 2))
    assert whole.kept == []
