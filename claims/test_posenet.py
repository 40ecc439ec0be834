"""What Islam et al. (ICLR 2020) claim, on the table of the default run, with margins."""

import pytest

SMOOTH = ["horizontal", "vertical", "gaussian"]
STRIPES = ["horizontal_stripes", "vertical_stripes"]
SMOOTH_CONTROLS = ["control_3", "control_6"]
SYNTHETIC = ["black", "white", "noise"]


@pytest.mark.parametrize("pattern", SMOOTH)
def test_a_padded_vgg_knows_where_it_is_looking(posenet, pattern):
    cell = posenet.loc["vgg16", pattern, "photos"]
    assert cell.spc >= 0.65
    assert cell.mae <= 0.19


@pytest.mark.parametrize("pattern", STRIPES)
def test_stripes_are_harder_than_ramps(posenet, pattern):
    assert posenet.loc["vgg16", pattern, "photos"].spc >= 0.3
    easiest = min(posenet.loc["vgg16", smooth, "photos"].spc for smooth in SMOOTH)
    assert posenet.loc["vgg16", pattern, "photos"].spc <= easiest - 0.1


@pytest.mark.parametrize("pattern", SMOOTH)
@pytest.mark.parametrize("backbone", ["posenet", "vgg16_unpadded"])
def test_without_padding_nothing_is_known(posenet, backbone, pattern):
    cell = posenet.loc[backbone, pattern, "photos"]
    assert abs(cell.spc) <= 0.15
    assert cell.mae == pytest.approx(cell.floor, abs=0.01)


@pytest.mark.parametrize("pattern", SMOOTH + STRIPES)
def test_padding_is_why(posenet, pattern):
    padded, unpadded = (posenet.loc[b, pattern, "photos"].spc for b in ("vgg16", "vgg16_unpadded"))
    assert padded >= unpadded + 0.3


@pytest.mark.parametrize("pattern", SMOOTH)
@pytest.mark.parametrize("stimulus", SYNTHETIC)
def test_no_content_is_needed(posenet, pattern, stimulus):
    assert posenet.loc["vgg16", pattern, stimulus].spc >= 0.5


@pytest.mark.parametrize("pattern", SMOOTH + STRIPES)
@pytest.mark.parametrize("backbone", ["posenet", "vgg16_unpadded"])
@pytest.mark.parametrize("stimulus", ["black", "white"])
def test_constant_images_without_padding_give_constant_maps(posenet, backbone, pattern, stimulus):
    assert posenet.loc[backbone, pattern, stimulus].spc == 0


@pytest.mark.parametrize("pattern", SMOOTH)
def test_training_is_not_needed(posenet, pattern):
    """Our finding, not the paper's: random weights encode position at least as readably."""
    assert posenet.loc["vgg16_untrained", pattern, "photos"].spc >= 0.65


@pytest.mark.parametrize("control", SMOOTH_CONTROLS)
@pytest.mark.parametrize("backbone", ["vgg16", "vgg16_untrained"])
def test_padding_lets_a_readout_draw_smooth_random_maps_but_less_well(posenet, backbone, control):
    spc = posenet.loc[backbone, control, "photos"].spc
    assert spc >= 0.2
    assert spc <= min(posenet.loc[backbone, smooth, "photos"].spc for smooth in SMOOTH) - 0.1


@pytest.mark.parametrize("backbone", ["posenet", "vgg16", "vgg16_unpadded", "vgg16_untrained"])
def test_no_readout_draws_a_fine_random_map(posenet, backbone):
    assert abs(posenet.loc[backbone, "control", "photos"].spc) <= 0.1


@pytest.mark.parametrize("control", SMOOTH_CONTROLS)
@pytest.mark.parametrize("backbone", ["posenet", "vgg16_unpadded"])
def test_without_padding_no_random_map_is_drawn(posenet, backbone, control):
    assert abs(posenet.loc[backbone, control, "photos"].spc) <= 0.15
