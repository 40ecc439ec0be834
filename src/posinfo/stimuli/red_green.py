"""Two squares whose order is the class and whose height is a hint (Kayhan and van Gemert, 2020).

Class 0 has the red square on the left and stands near the top; class 1 has the green one on the
left and stands near the bottom. A network that knows where it looks may learn the height alone.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

SIDE, SQUARE = 32, 4  # px of the images and of the squares
TOPS = (3, 10)  # first row of the squares in class 0, both included
LEFTS, RIGHTMOST = (0, 9), 27  # first column of the left square; the largest of the right one
APART = SQUARE + 1  # columns between the first ones of the two squares, at least
MOVED = 16  # rows from the height of one class to that of the other
RED, GREEN = 0, 1  # channels
DIFFERENT = 2960  # images of both classes

Images = Float[Tensor, "n 3 32 32"]


class RedGreen(NamedTuple):
    """Images of a split.

    Attributes:
        similar: black in [0, 1], each class near its own height.
        dissimilar: the same images with both squares moved to the height of the other class.
        classes: 0 where the red square is on the left, else 1.
    """

    similar: Images
    dissimilar: Images
    classes: Int64[Tensor, " n"]


def red_green(counts: Mapping[str, int], seed: int = 0) -> dict[str, RedGreen]:
    """Splits that share no image.

    Positions are those of the released code, each at most once in all splits. There, the generator
    starts anew at every call, so that validation images and similar test images are train images.

    Args:
        counts: number of images by name of the split, even; every other one is of class 1.
        seed: deals positions to splits.

    Raises:
        ValueError: more images than there are positions.
    """
    positions = torch.tensor(
        [
            (top, left, right)
            for top in range(TOPS[0], TOPS[1] + 1)
            for left in range(LEFTS[0], LEFTS[1] + 1)
            for right in range(left + APART, RIGHTMOST + 1)
        ]
    )
    if sum(counts.values()) > DIFFERENT:
        raise ValueError(f"there are {DIFFERENT} different images; got {sum(counts.values())}")
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(positions), generator=generator) for _ in range(2)]
    splits, first = {}, 0
    for name, count in counts.items():
        dealt = [positions[order[first : first + count // 2]] for order in orders]
        splits[name] = _images(torch.stack(dealt, 1).flatten(0, 1))
        first += count // 2
    return splits


def _images(positions: Int64[Tensor, "n 3"]) -> RedGreen:
    tops, lefts, rights = positions.unbind(1)
    classes = torch.arange(len(positions)) % 2
    heights = tops + MOVED * classes, tops + MOVED * (1 - classes)
    similar, dissimilar = (_drawn(rows, lefts, rights, classes) for rows in heights)
    return RedGreen(similar, dissimilar, classes)


def _drawn(tops: Tensor, lefts: Tensor, rights: Tensor, classes: Tensor) -> Images:
    images = torch.zeros(len(tops), 3, SIDE, SIDE)
    for image, top, left, right, of_class in zip(
        images, tops.tolist(), lefts.tolist(), rights.tolist(), classes.tolist(), strict=True
    ):
        colours = (RED, GREEN) if of_class == 0 else (GREEN, RED)
        for channel, column in zip(colours, (left, right), strict=True):
            image[channel, top : top + SQUARE, column : column + SQUARE] = 1
    return images
