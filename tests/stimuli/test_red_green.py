import pytest
import torch

from posinfo.stimuli.red_green import DIFFERENT, MOVED, SQUARE, red_green


def corners(images, channel):
    """First row and column of the square in a channel of each image."""
    rows = images[:, channel].amax(2).int().argmax(1)
    columns = images[:, channel].amax(1).int().argmax(1)
    return rows, columns


def test_order_is_the_class_and_height_a_hint():
    similar, dissimilar, classes = red_green({"all": DIFFERENT})["all"]
    assert similar.sum((2, 3)).eq(torch.tensor([SQUARE**2, SQUARE**2, 0])).all()
    assert classes.bincount().tolist() == [DIFFERENT // 2, DIFFERENT // 2]
    for images, hint in ((similar, classes), (dissimilar, 1 - classes)):
        (red_top, red), (green_top, green) = corners(images, 0), corners(images, 1)
        assert torch.equal(red_top, green_top)
        assert torch.equal(red < green, classes == 0)
        left, right = torch.minimum(red, green), torch.maximum(red, green)
        assert (left.min(), left.max()) == (0, 9) and right.max() == 27
        assert (right - left).min() == SQUARE + 1
        expected = {0: set(range(3, 11)), 1: set(range(19, 27))}
        assert {int(h): set(red_top[hint == h].tolist()) for h in (0, 1)} == expected


def test_twins_differ_in_their_height_alone():
    similar, dissimilar, classes = red_green({"test": 50}, seed=1)["test"]
    for image, twin, of_class in zip(similar, dissimilar, classes, strict=True):
        rows = MOVED if of_class == 0 else -MOVED
        assert torch.equal(image.roll(rows, 1), twin)


def test_no_image_is_twice_in_all_splits():
    """The released generator starts anew at each call: its validation images are train images."""
    splits = red_green({"train": 1500, "validation": 460, "test": 1000})
    every = torch.cat([split.similar for split in splits.values()])
    assert len(every) == DIFFERENT == len(every.unique(dim=0))
    assert {name: len(split.classes) for name, split in splits.items()} == {
        "train": 1500, "validation": 460, "test": 1000,
    }  # fmt: skip
    again, other = (red_green({"train": 40}, seed)["train"].similar for seed in (0, 1))
    assert torch.equal(again, every[:40]) and not torch.equal(other, again)
    with pytest.raises(ValueError, match="there are 2960 different images; got 2962"):
        red_green({"train": 2000, "test": 962})
