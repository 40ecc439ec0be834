import numpy as np
import pytest
import torch
from torch import nn

from posinfo.measures.tiles import margin_for, seam_errors
from posinfo.networks.surgery.observed import Observed
from posinfo.networks.surgery.padding import repad
from posinfo.networks.surgery.reach import probe_reach

MARGINS = list(range(0, 13))


@pytest.fixture
def images(generator):
    return torch.randn(2, 3, 32, 32, generator=generator)


def network(*layers):
    torch.manual_seed(1)
    return nn.Sequential(*layers).eval()


@pytest.mark.parametrize("padding", ["zero", "reflect", "replicate"])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_measured_margin_is_the_reach_and_the_error_beyond_it_is_zero(images, depth, padding):
    layers = [nn.Conv2d(3, 3, 3, padding=1) for _ in range(depth)]
    observed = Observed(repad(network(*layers), padding))
    reach = probe_reach(observed).reaches["output"].margin
    found = seam_errors(observed, images, "output", 1, MARGINS)
    assert reach == depth
    assert (found.error[:, reach:] == 0).all()  # float32, exactly
    assert (found.error[:, :reach] > 0).all()
    assert margin_for(MARGINS, found.error.mean(0).numpy(), 1e-12) == reach


def test_measured_margin_of_a_strided_network_is_a_multiple_of_its_stride(images):
    observed = Observed(network(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, 1)))
    reach = probe_reach(observed).reaches["output"]
    margins = [0, 4, 8, 12]
    found = seam_errors(observed, images, "output", 4, margins)
    assert margin_for(margins, found.error.mean(0).numpy(), 1e-12) == reach.margin == 4


def test_single_pixels_need_no_margin(images):
    observed = Observed(network(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1)))
    found = seam_errors(observed, images, "output", 1, [0, 4])
    assert (found.error == 0).all()
    assert (found.classes == 0).all()
    assert margin_for([0, 4], found.error.mean(0).numpy(), 1e-12) == 0


def test_error_by_hand(images):
    conv = nn.Conv2d(3, 2, 3, padding=1)
    found = seam_errors(Observed(network(conv)), images, "output", 1, [0])
    with torch.no_grad():
        whole = conv(images)
        tiled = torch.cat([conv(images[..., :16]), conv(images[..., 16:])], 3)
    columns = (tiled - whole).square().mean((1, 2)).sqrt()
    columns = columns / whole.square().mean((1, 2, 3)).sqrt()[:, None]
    torch.testing.assert_close(found.error[:, 0], columns.amax(1))
    torch.testing.assert_close(found.seam[:, 0], columns[:, 15:17].amax(1))
    other = (tiled.argmax(1) != whole.argmax(1)).float().mean((1, 2))
    torch.testing.assert_close(found.classes[:, 0], other)
    assert found.same_statistics.equal(found.error)  # nothing is averaged over the image


def test_a_map_that_is_no_number_has_no_error(images):
    images[0, 0, 3, 3] = torch.nan
    found = seam_errors(Observed(network(nn.Conv2d(3, 2, 3, padding=1))), images, "output", 1, [0])
    assert found.error[0].isnan().all() and found.error[1].isfinite().all()


@pytest.mark.parametrize("norm", [nn.InstanceNorm2d(4), nn.GroupNorm(2, 4)], ids=str)
def test_averages_over_the_image_are_told_from_padding(images, norm):
    observed = Observed(network(nn.Conv2d(3, 4, 3, padding=1), norm, nn.Conv2d(4, 2, 3, padding=1)))
    found = seam_errors(observed, images, "output", 1, MARGINS)
    assert (found.error[:, 2:] > 1e-3).all()  # no margin helps
    assert (found.same_statistics[:, 3:] < 1e-5).all()  # but the averages of the whole image do
    assert (found.same_statistics[:, 0] > 1e-2).all()  # padding is left, where there is no margin


def test_tiles_of_an_unpadded_network_leave_a_gap_or_fit(images):
    observed = Observed(network(nn.Conv2d(3, 2, 3), nn.Conv2d(2, 2, 3)))
    assert probe_reach(observed).reaches["output"].margin == 4
    found = seam_errors(observed, images, "output", 1, [0, 3, 4, 6])
    assert found.error[:, :2].isinf().all()
    assert (found.error[:, 2:] == 0).all()


@pytest.mark.parametrize(
    ("errors", "margin"),
    [([0.2, 0.1, 0.001], 8), ([0.0] * 3, 0), ([0.1, 0, 0.1], None), ([0.5, np.nan, 0], 8)],
)
def test_margin_from_which_on_all_errors_are_small(errors, margin):
    assert margin_for([0, 4, 8], np.array(errors), 0.01) == margin
