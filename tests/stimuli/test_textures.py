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
    assert pixels.shape == (30, 3, 32, 32)
    assert labels.tolist() == [label for label in range(10) for _ in range(3)]
    for label, name in enumerate(TEXTURES):
        photograph = np.asarray(embedded_photograph(name)).transpose(2, 0, 1)
        width = photograph.shape[2]
        strip = photograph[:, :, round(start * width) : round(stop * width)]
        for patch in pixels[labels == label].numpy():
            assert _place(patch, strip), name


def test_patches_come_from_every_height():
    pixels, labels = texture_patches("train", 30, 32)
    label = TEXTURES.index("astronaut")
    photograph = np.asarray(embedded_photograph("astronaut")).transpose(2, 0, 1)
    rows = [_place(patch, photograph)[0] for patch in pixels[labels == label].numpy()]
    counts, _ = np.histogram(rows, bins=4, range=(0, photograph.shape[1] - 32))
    assert counts.sum() == 30 and counts.min() >= 2


def test_places_are_repeatable():
    first, second = texture_patches("train", 3, 32), texture_patches("train", 3, 32)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def _place(patch, region):
    """Row and column of a patch; None if it is no part of the region."""
    windows = np.lib.stride_tricks.sliding_window_view(region[0], patch.shape[1:])
    for y, x in np.argwhere((windows[:, :, 0] == patch[0, 0]).all(2)).tolist():
        if np.array_equal(region[:, y : y + 32, x : x + 32], patch):
            return y, x
    return None
