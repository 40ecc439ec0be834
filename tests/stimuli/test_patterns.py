import math

import pytest
import torch
from torch.nn.functional import interpolate

from posinfo.measures.metrics import constant_floor, spearman
from posinfo.stimuli.patterns import CONTROLS, PATTERNS, make_pattern

# The released masks after the released resize. Theirs are 8-bit, and their stripes come out .0009
# lower than 2.5 periods do, wherever in a pixel the cosine is taken.
RELEASED_FLOORS = {
    "horizontal": 0.2510,
    "vertical": 0.2510,
    "gaussian": 0.1968,
    "horizontal_stripes": 0.3174,
    "vertical_stripes": 0.3174,
}


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("size", [(224, 224), (30, 50), (2, 2)])
def test_pattern_spans_zero_to_one(name, size):
    mask = make_pattern(name, size)
    assert tuple(mask.shape) == size
    assert (mask.min(), mask.max()) == (0, 1)
    torch.testing.assert_close(mask, make_pattern(name, size), rtol=0, atol=0)


@pytest.mark.parametrize(("name", "floor"), RELEASED_FLOORS.items())
def test_floor_is_that_of_the_released_mask(name, floor):
    assert constant_floor(make_pattern(name, (224, 224))) == pytest.approx(floor, abs=1e-3)


def test_patterns_follow_their_formulas():
    h, w = 20, 30
    masks = {name: make_pattern(name, (h, w)) for name in PATTERNS}
    for y in range(h):
        for x in range(w):
            bell = math.exp(-2 * (y / h - 0.5) ** 2 - 2 * (x / w - 0.5) ** 2)
            assert masks["horizontal"][y, x] == pytest.approx(x / (w - 1), abs=1e-6)
            assert masks["vertical"][y, x] == pytest.approx(y / (h - 1), abs=1e-6)
            assert masks["gaussian"][y, x] == pytest.approx(
                (bell - math.exp(-1)) / (1 - math.exp(-1)), abs=1e-5
            )
            for name, i, n in (("horizontal_stripes", y, h), ("vertical_stripes", x, w)):
                wave = math.cos(5 * math.pi * (i + 0.5) / n) / math.cos(5 * math.pi * 0.5 / n)
                assert masks[name][y, x] == pytest.approx((1 + wave) / 2, abs=1e-5)


def test_stripes_are_as_far_from_one_edge_as_from_the_other():
    for name in ("horizontal_stripes", "vertical_stripes"):
        mask = make_pattern(name, (40, 60))
        torch.testing.assert_close(mask.flip(0, 1), 1 - mask)


def test_flipped_gradient_is_its_complement():
    mask = make_pattern("horizontal", (8, 9))
    torch.testing.assert_close(mask.flip(1), 1 - mask)


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize("draw", range(3))
def test_control_has_the_values_of_the_gradient_in_random_places(name, draw):
    control = make_pattern(name, (224, 224), draw=draw)
    gradient = make_pattern("horizontal", (224, 224))
    torch.testing.assert_close(control.flatten().sort().values, gradient.flatten().sort().values)
    assert constant_floor(control) == constant_floor(gradient)
    assert abs(spearman(control, make_pattern(name, (224, 224), draw=draw + 1)).item()) < 0.7
    assert torch.equal(control, make_pattern(name, (224, 224), draw=draw))


def test_control_follows_noise_on_its_cells():
    for name, cells in CONTROLS.items():
        noise = torch.randn(cells, cells, generator=torch.Generator().manual_seed(20200427 + 5))
        smooth = interpolate(noise[None, None], (224, 224), mode="bicubic")[0, 0]
        assert spearman(make_pattern(name, (224, 224), draw=5), smooth).item() > 0.999


def test_control_of_fine_cells_is_like_no_pattern():
    control = make_pattern("control", (224, 224))
    for name in RELEASED_FLOORS:
        assert abs(spearman(control, make_pattern(name, (224, 224))).item()) < 0.1


def test_the_fewer_cells_the_smoother_a_control():
    def steps(name):
        mask = make_pattern(name, (224, 224))
        return mask.diff(dim=0).abs().mean() + mask.diff(dim=1).abs().mean()

    assert 3 * steps("control_3") < 2 * steps("control_6") < steps("control")


@pytest.mark.parametrize("name", RELEASED_FLOORS)
def test_there_is_one_draw_of_a_pattern(name):
    assert torch.equal(make_pattern(name, (9, 9)), make_pattern(name, (9, 9), draw=3))


def test_unknown_pattern_is_refused():
    with pytest.raises(ValueError) as raised:
        make_pattern("horizonal", (8, 8))
    assert str(raised.value) == (
        "pattern must be one of horizontal, vertical, gaussian, horizontal_stripes, "
        "vertical_stripes, control_3, control_6, control; got 'horizonal' "
        "(did you mean 'horizontal'?)"
    )


def test_single_pixel_is_refused():
    with pytest.raises(ValueError, match="^a pattern needs at least 2x2 pixels; got 1x8$"):
        make_pattern("gaussian", (1, 8))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_signed_stripes_span_minus_one_to_one_and_nothing_else_changes(pattern):
    unit, signed = (make_pattern(pattern, (32, 48), stripes) for stripes in ("unit", "signed"))
    if pattern.endswith("stripes"):
        torch.testing.assert_close(signed, 2 * unit - 1)
    else:
        assert torch.equal(signed, unit)
