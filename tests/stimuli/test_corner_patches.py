import torch

from posinfo.stimuli.corner_patches import PATCH, corner_patches


def test_the_same_patch_touches_two_opposite_corners():
    images, labels = corner_patches()
    height, width = PATCH
    first, second = images[0, 0, :height, :width], images[1, 0, -height:, -width:]
    assert torch.equal(first, second) and labels.tolist() == [0, 1]
    assert first.min() > 0 and first.max() <= 1 and first.std() > 0.05
    assert images[0].count_nonzero() == images[1].count_nonzero() == height * width
