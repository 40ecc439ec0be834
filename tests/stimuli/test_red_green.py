import torch

from posinfo.stimuli.red_green import MOVED, SQUARE, red_green


def corners(images, channel):
    """First row and column of the square in a channel of each image."""
    rows = images[:, channel].amax(2).int().argmax(1)
    columns = images[:, channel].amax(1).int().argmax(1)
    return rows, columns


def test_order_is_the_class_and_height_a_hint():
    similar, dissimilar, classes = red_green(400, seed=0)
    assert similar.sum((2, 3)).eq(torch.tensor([SQUARE**2, SQUARE**2, 0])).all()
    assert classes.bincount().tolist() == [200, 200]
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
    similar, dissimilar, classes = red_green(50, seed=1)
    for image, twin, of_class in zip(similar, dissimilar, classes, strict=True):
        rows = MOVED if of_class == 0 else -MOVED
        assert torch.equal(image.roll(rows, 1), twin)


def test_splits_share_no_images_by_their_seeds():
    """The released generator starts anew at each call: its validation images are train images."""
    train, validation = (red_green(500, seed)[0] for seed in (0, 1))
    same = sum(bool((image == train).flatten(1).all(1).any()) for image in validation)
    assert same < 100  # of 1,480 images per class, some meet by chance
    assert torch.equal(red_green(500, 0)[0], train)
