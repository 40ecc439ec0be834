"""What experiment 1 of Islam et al. (ICCV 2021) claims, on the default run, with margins."""

import pytest

GAPNET_LOCATION = "gapnet-none-location-3x3"
GAPNET_IMAGE = "gapnet-none-image-3x3"
PERMUTENET_LOCATION = "permutenet-per_batch-location-3x3"
PERMUTENET_IMAGE = "permutenet-per_batch-image-3x3"


def survival(permutenet, network, reference):
    """Share of the reference's accuracy above the floor that the network keeps."""
    above = permutenet.accuracy - permutenet.floor
    return above[network] / above[reference]


def test_gapnet_knows_where_it_is_after_global_pooling(permutenet):
    assert permutenet.accuracy[GAPNET_LOCATION] >= 0.99


def test_location_is_in_the_order_of_the_channels(permutenet):
    lost = permutenet.accuracy[GAPNET_LOCATION] - permutenet.accuracy[PERMUTENET_LOCATION]
    assert lost >= 0.4


def test_what_the_image_shows_survives_better_than_where_it_is(permutenet):
    image = survival(permutenet, PERMUTENET_IMAGE, GAPNET_IMAGE)
    location = survival(permutenet, PERMUTENET_LOCATION, GAPNET_LOCATION)
    assert image >= location + 0.15


@pytest.mark.parametrize("cell", [PERMUTENET_LOCATION, PERMUTENET_IMAGE])
def test_the_sum_of_the_channels_says_something(permutenet, cell):
    assert permutenet.accuracy[cell] >= permutenet.floor[cell] + 0.05
