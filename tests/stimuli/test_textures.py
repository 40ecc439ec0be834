import numpy as np
import pytest
import torch

from posinfo.stimuli.photos import embedded_photograph
from posinfo.stimuli.textures import TEXTURES, texture_patches


@pytest.mark.parametrize(
    ("split", "start", "stop"), [("train", 0, 0.6), ("validation", 0.6, 0.7), ("test", 0.7, 1)]
)
def test_patches_come_from_the_strip_of_their_split(split, start, stop):
    pixels, labels = texture_patches(split, 3, 32)
    assert pixels.shape == (30, 3, 32, 32) and labels.bincount().tolist() == [3] * 10
    for label, name in enumerate(TEXTURES):
        photograph = np.asarray(embedded_photograph(name)).transpose(2, 0, 1)
        width = photograph.shape[2]
        strip = photograph[:, :, round(start * width) : round(stop * width)]
        for patch in pixels[labels == label].numpy():
            assert _is_part(patch, strip), name


def test_places_are_repeatable():
    first, second = texture_patches("train", 3, 32), texture_patches("train", 3, 32)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def _is_part(patch, region):
    windows = np.lib.stride_tricks.sliding_window_view(region[0], patch.shape[1:])
    places = np.argwhere((windows[:, :, 0] == patch[0, 0]).all(2))
    return any(np.array_equal(region[:, y : y + 32, x : x + 32], patch) for y, x in places.tolist())
