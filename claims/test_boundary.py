"""What Kayhan and van Gemert (CVPR 2020) and the canvases claim, on the default run."""

import numpy as np
import pytest


def by_padding(table, measure):
    return table.groupby("padding")[measure]


def test_one_convolution_with_zero_padding_tells_two_corners_apart(boundary):
    assert (boundary("patch_location").query("padding == 'zero'").accuracy == 1).all()


@pytest.mark.parametrize("padding", ["circular", "full"])
def test_without_a_border_it_cannot(boundary, padding):
    rows = boundary("patch_location").query("padding == @padding")
    assert (rows.accuracy == 0.5).all() and (rows.identical == 1).all() and len(rows) == 5


@pytest.mark.parametrize("padding", ["none", "zero"])
def test_a_network_with_a_border_learns_the_height_in_place_of_the_order(boundary, padding):
    rows = boundary("red_green").query("padding == @padding")
    assert rows.similar.mean() >= 0.95
    # a zero-padded network of this depth cannot tell twins whose squares meet no border; all others
    # are answered by their height
    told = rows.dissimilar.mean() - rows.identical.mean()
    assert told <= 0.05 and (rows.dissimilar.mean() <= 0.2 or padding == "zero")


@pytest.mark.parametrize("padding", ["circular", "full"])
def test_without_a_border_twins_are_the_same_to_the_bit(boundary, padding):
    rows = boundary("red_green").query("padding == @padding")
    assert (rows.identical == 1).all() and (rows.similar == rows.dissimilar).all()
    assert rows.similar.mean() >= 0.6


def test_resnet18_loses_its_place_between_a_third_of_its_field_and_the_whole(boundary):
    rows = boundary("knees").query("row == 'resnet18'")
    assert np.isfinite(rows.knee).all() and (rows.field == 435).all()
    assert 435 / 3 <= rows.knee.mean() <= 435


def test_no_network_knows_its_place_beyond_its_field(boundary):
    scores = boundary("distance").merge(boundary("knees")[["row", "seed", "field"]])
    beyond = scores[scores.border >= scores.field]
    assert set(beyond.row) == {"bagnet33_random", "resnet18_random"}
    assert (beyond.accuracy == 0.5).all()


def test_zero_padding_has_the_largest_gap_between_rings_in_location(boundary):
    gaps = boundary("ring_gaps").query("task == 'location' and grid == 3 and canvas == 'black'")
    means = by_padding(gaps, "gap").mean()
    assert means.idxmax() == "zero", means
