import numpy as np
import pytest
import torch
from torch import nn

from posinfo.measures.true_context import (
    border_channels,
    context_errors,
    reach_of_error,
    rings,
)
from posinfo.networks.surgery.observed import Observed
from posinfo.networks.surgery.padding import repad


@pytest.fixture
def images(generator):
    return torch.randn(3, 3, 48, 48, generator=generator)


def network(*strides, padding=1):
    torch.manual_seed(1)
    parts: list[nn.Module] = []
    for number, stride in enumerate(strides):
        parts += [nn.Conv2d(4 if number else 3, 4, 3, stride, padding), nn.ReLU()]
    return nn.Sequential(*parts).eval()


def test_error_ends_exactly_where_the_field_does(images):
    observed = Observed(network(1, 1, 1))  # a field of 7 px: 3 px on each side
    (found,) = context_errors(observed, images, 8, {"output": 1}).values()
    assert (found.rings[:, :3] > 0).all()
    assert (found.rings[:, 3:] == 0).all()
    assert found.rings.shape == (3, 16)


def test_error_of_the_outermost_ring_by_hand(images):
    conv = nn.Conv2d(3, 1, 3, padding=1, bias=False)
    nn.init.ones_(conv.weight)
    observed = Observed(nn.Sequential(conv))
    (found,) = context_errors(observed, images, 8, {"output": 1}).values()
    with torch.no_grad():
        whole, crop = conv(images)[:, :, 8:-8, 8:-8], conv(images[:, :, 8:-8, 8:-8])
    outer = torch.ones(32, 32, dtype=torch.bool)
    outer[1:-1, 1:-1] = False
    expected = (crop - whole)[:, :, outer].square().mean((1, 2)).sqrt()
    expected = expected / whole.square().mean((1, 2, 3)).sqrt()
    torch.testing.assert_close(found.rings[:, 0], expected)
    scales = [each.square().mean((2, 3)).sqrt() for each in (whole, crop)]
    border = (crop - whole)[:, :, outer].mean(2) / torch.maximum(*scales)
    torch.testing.assert_close(found.border, border)
    sizes = crop.abs().mean(1)
    torch.testing.assert_close(found.mean_map, sizes / sizes.mean((1, 2), keepdim=True))


def test_networks_without_padding_or_of_single_pixels_have_no_error(images):
    for plain in (network(1, 1, padding=0), nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())):
        (found,) = context_errors(Observed(plain.eval()), images, 8, {"output": 1}).values()
        assert (found.rings == 0).all()
        assert (found.border == 0).all()


def test_channel_that_is_dead_inside_tells_the_border_by_a_number():
    conv = nn.Conv2d(3, 1, 3, padding=1)
    nn.init.constant_(conv.weight, -1)  # of pixels of 1, the sum is -27 inside, more at the border
    nn.init.constant_(conv.bias, 20)
    observed = Observed(nn.Sequential(conv, nn.ReLU()))
    (found,) = context_errors(observed, torch.ones(2, 3, 48, 48), 8, {"output": 1}).values()
    assert found.border.isfinite().all() and (found.border > 1).all()


def test_maps_of_several_strides_are_laid_on_each_other(images):
    observed = Observed(network(2, 2, 1), ["0", "2"])
    found = context_errors(observed, images, 8, {"0": 2, "2": 4, "output": 4})
    assert [each.mean_map.shape[1] for each in found.values()] == [16, 8, 8]
    assert (found["0"].rings[:, 1:] == 0).all()
    assert (found["0"].rings[:, 0] > 0).all()


def test_paddings_that_are_nearer_to_the_picture_err_less():
    torch.manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.randn(6, 3, 6, 6), 48, mode="bicubic") + 2
    plain = network(1, 1, 1)
    errors = {}
    for padding in ("zero", "replicate"):
        observed = Observed(repad(plain, padding))
        errors[padding] = context_errors(observed, smooth, 8, {"output": 1})["output"]
    assert errors["replicate"].rings[:, 0].mean() < 0.5 * errors["zero"].rings[:, 0].mean()


def test_rings_by_hand():
    assert rings(4, 5).tolist() == [
        [0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0],
    ]  # fmt: skip


def test_planted_channels_are_found_and_noise_is_not():
    values = np.random.default_rng(0)
    differences = values.normal(0, 0.1, (11, 400))
    named = border_channels(differences)
    assert named.mean() <= 0.02  # of false ones, 5 % of those that are named
    differences[:, :40] += 0.5
    named = border_channels(differences)
    assert named[:40].mean() == 1
    assert named[40:].mean() <= 0.05


def test_rounding_constant_differences_and_a_single_photograph():
    assert border_channels(np.full((5, 3), 1e-6)).tolist() == [0, 0, 0]
    assert border_channels(np.full((5, 2), 0.5)).tolist() == [1, 1]
    assert np.isnan(border_channels(np.ones((1, 2)))).all()  # nobody knows


def test_a_map_that_is_no_number_has_no_error(images):
    class Dividing(nn.Module):
        def forward(self, maps):
            return maps.where(maps < maps.amax(), torch.nan)

    (found,) = context_errors(Observed(Dividing()), images, 8, {"output": 1}).values()
    assert found.rings.isnan().any()


@pytest.mark.parametrize(
    ("errors", "ring"),
    [([0.5, 0.2, 0.001, 0], 2), ([0.0, 0.0], 0), ([0.1, 0, 0.1], None), ([0.5, 0.0, 0.02, 0], 3)],
)
def test_reach_of_error(errors, ring):
    assert reach_of_error(np.array(errors), 0.01) == ring
