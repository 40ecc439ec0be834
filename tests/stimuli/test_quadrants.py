import pytest
import torch
from pydantic import ValidationError

from posinfo.stimuli.quadrants import TILE, QuadrantConfig, place_tiles


@pytest.fixture
def tiles(generator):
    return torch.randint(256, (3, 3, TILE, TILE), generator=generator).byte()


@pytest.mark.parametrize(("kind", "outside"), [("black", 16), ("released", 0)])
def test_tiles_stand_in_two_corners_of_the_canvas(tiles, kind, outside):
    config = QuadrantConfig(canvas=120, border=16, kind=kind)
    side = 120 + 2 * outside
    images = place_tiles(tiles, torch.tensor([0, 1, 1]), config)
    expected = torch.zeros(3, 3, side, side, dtype=torch.uint8)
    expected[0, :, outside : outside + 56, outside : outside + 56] = tiles[0]
    far = outside + 64
    expected[1:, :, far : far + 56, far : far + 56] = tiles[1:]
    assert torch.equal(images, expected) and config.side == side
    assert config.first_padding == (16 if kind == "released" else None)


@pytest.mark.parametrize("changes", [{"canvas": 100}, {"border": -1}, {"kind": "white"}])
def test_other_canvases_are_refused(changes):
    with pytest.raises(ValidationError):
        QuadrantConfig(**{"canvas": 120, "border": 0, "kind": "black", **changes})
