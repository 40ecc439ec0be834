"""What Islam et al. (ICLR 2020) claim, on the table of the default run, with margins."""

import pytest

SMOOTH = ["horizontal", "vertical", "gaussian"]
STRIPES = ["horizontal_stripes", "vertical_stripes"]
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


BACKBONES = [
    "posenet", "vgg16", "vgg16_unpadded", "vgg16_untrained", "efficientnet_lite0",
    "efficientnet_lite0_unpadded",
]  # fmt: skip


@pytest.mark.parametrize("backbone", BACKBONES)
def test_no_readout_draws_a_fine_random_map(posenet, backbone):
    assert abs(posenet.loc[backbone, "control", "photos"].spc) <= 0.1


@pytest.mark.parametrize("control", ["control_3", "control_6"])
@pytest.mark.parametrize("backbone", ["posenet", "vgg16_unpadded", "efficientnet_lite0_unpadded"])
def test_without_padding_no_smooth_map_is_drawn(posenet, backbone, control):
    assert abs(posenet.loc[backbone, control, "photos"].spc) <= 0.15


@pytest.mark.parametrize("control", ["control_3", "control_6"])
@pytest.mark.parametrize("backbone", ["vgg16", "efficientnet_lite0"])
def test_a_smooth_random_map_is_drawn_to_a_degree(posenet, backbone, control):
    """Our finding: a high SPC of H, V and G is not theirs alone."""
    drawn = posenet.loc[backbone, control, "photos"].spc
    assert drawn >= posenet.loc[backbone, "control", "photos"].spc + 0.15
    assert drawn <= min(posenet.loc[backbone, p, "photos"].spc for p in SMOOTH) - 0.15


@pytest.mark.parametrize("pattern", SMOOTH + STRIPES)
@pytest.mark.parametrize("backbone", ["vgg16", "efficientnet_lite0"])
def test_padding_is_why_on_every_photograph(posenet_pairs, backbone, pattern):
    """The whole 95 % interval over photographs of the paired difference."""
    assert posenet_pairs.loc[pattern, backbone, f"{backbone}_unpadded"].low >= 0.15


@pytest.mark.parametrize("pattern", SMOOTH + STRIPES)
def test_random_weights_are_more_readable_than_trained_ones(posenet_pairs, pattern):
    """Our finding, of one untrained network; docs/papers/posenet.md has three."""
    assert posenet_pairs.loc[pattern, "vgg16", "vgg16_untrained"].high < 0
