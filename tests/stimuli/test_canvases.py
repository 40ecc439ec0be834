import re

import pytest
import torch
from pydantic import ValidationError

from posinfo.stimuli.canvases import COLOURS, CanvasConfig, Canvases

CPU = torch.device("cpu")
MEAN, STD = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.25, 0.3])


@pytest.fixture
def tiles(generator):
    return torch.randint(0, 256, (5, 3, 4, 4), dtype=torch.uint8, generator=generator)


def canvases(tiles, colour="black", grid=3, location_size=4, dtype=torch.float32):
    config = CanvasConfig(grid=grid, location_size=location_size, colour=colour)
    return Canvases(tiles, config, MEAN, STD, device=CPU, dtype=dtype)


def reference(tile, location, colour, grid, size):
    """Pixel by pixel: a canvas in 8-bit colours, or in normalised ones if `colour` is None."""
    side = grid * size
    canvas = torch.zeros(3, side, side)
    for channel in range(3):
        mean, std = MEAN[channel].item(), STD[channel].item()
        for y in range(side):
            for x in range(side):
                value = 0.0 if colour is None else (colour[channel] / 255 - mean) / std
                gap = (size - tile.shape[1]) // 2
                ty = y - location // grid * size - gap
                tx = x - location % grid * size - gap
                if 0 <= ty < tile.shape[1] and 0 <= tx < tile.shape[2]:
                    value = (tile[channel, ty, tx].item() / 255 - mean) / std
                canvas[channel, y, x] = value
    return canvas


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ("black", (0, 0, 0)),
        ("white", (255, 255, 255)),
        ("mean", (102, 128, 153)),
        ("released", None),
        ((255, 0, 7), (255, 0, 7)),
    ],
)
@pytest.mark.parametrize("size", [4, 7])
def test_canvas_equals_pixel_by_pixel_reference(tiles, colour, expected, size):
    images, locations = torch.tensor([0, 3, 4, 0]), torch.tensor([0, 5, 8, 6])
    got = canvases(tiles, colour, location_size=size).batch(images, locations)
    for canvas, image, location in zip(got, images.tolist(), locations.tolist(), strict=True):
        torch.testing.assert_close(canvas, reference(tiles[image], location, expected, 3, size))


def test_every_colour_is_tested():
    assert set(COLOURS) == {"black", "white", "mean", "released"}


def test_mirrored_tiles_are_flipped_and_the_others_not(tiles):
    images, locations = torch.tensor([1, 1]), torch.tensor([4, 4])
    plain, flipped = canvases(tiles).batch(images, locations, torch.tensor([False, True]))
    torch.testing.assert_close(plain[:, 4:8, 4:8].flip(2), flipped[:, 4:8, 4:8])
    assert not torch.equal(plain, flipped)


def test_batches_are_channels_last_and_leave_the_blank_canvas_alone(tiles):
    shown = canvases(tiles)
    first = shown.batch(torch.tensor([0]), torch.tensor([0]))
    assert first.is_contiguous(memory_format=torch.channels_last)
    first.zero_()
    again = shown.batch(torch.tensor([0]), torch.tensor([8]))
    torch.testing.assert_close(again[0], reference(tiles[0], 8, (0, 0, 0), 3, 4))


def test_dtype_is_that_of_the_network(tiles):
    shown = canvases(tiles, dtype=torch.bfloat16).batch(torch.tensor([0]), torch.tensor([1]))
    assert shown.dtype == torch.bfloat16


def test_tile_larger_than_a_location(tiles):
    message = "^tiles of 4 x 4 px do not fit a canvas location of 3 px: enlarge `location_size`$"
    with pytest.raises(ValueError, match=message):
        canvases(tiles, location_size=3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"grid": 0}, "greater than or equal to 2"),
        ({"location_size": 0}, "greater than or equal to 1"),
        (
            {"colour": "blck"},
            "canvas colour must be one of black, white, mean, released; got",
        ),
        ({"colour": (0, 0, 256)}, "less than or equal to 255"),
    ],
)
def test_bad_settings(wrong, message):
    with pytest.raises(ValidationError, match=re.escape(message)):
        CanvasConfig(**{"grid": 3, "location_size": 32, "colour": "black", **wrong})
