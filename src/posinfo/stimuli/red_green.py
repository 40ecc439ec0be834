"""Two squares whose order is the class and whose height is a hint (Kayhan and van Gemert, 2020).

Class 0 has the red square on the left and stands near the top; class 1 has the green one on the
left and stands near the bottom. A network that knows where it looks may learn the height alone.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

SIDE, SQUARE = 32, 4  # px of the images and of the squares
TOPS = (3, 10)  # first row of the squares in class 0, both included
LEFTS, RIGHTMOST = (0, 9), 27  # first column of the left square; the largest of the right one
APART = SQUARE + 1  # columns between the first ones of the two squares, at least
MOVED = 16  # rows from the height of one class to that of the other
RED, GREEN = 0, 1  # channels

Images = Float[Tensor, "n 3 32 32"]


def red_green(count: int, seed: int) -> tuple[Images, Images, Int64[Tensor, " n"]]:
    """Images, their twins at the height of the other class, and their classes.

    Positions are those of the released code. There, the generator starts anew at every call, so
    that validation images and similar test images are train images: give each split another seed.

    Args:
        count: number of images; every other one is of class 1.
        seed: of the positions.

    Returns:
        The images, black in [0, 1], and the same images with both squares moved by 16 rows: the
        "similar" and the "dissimilar" test images of the paper.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(low: int, high: int) -> Tensor:
        return torch.randint(low, high + 1, (count,), generator=generator)

    classes = torch.arange(count) % 2
    tops, lefts = draw(*TOPS), draw(*LEFTS)
    room = RIGHTMOST - (lefts + APART)
    share = torch.rand(count, generator=generator)
    rights = lefts + APART + (share * (room + 1)).long()
    heights = tops + MOVED * classes, tops + MOVED * (1 - classes)
    similar, dissimilar = (_drawn(rows, lefts, rights, classes) for rows in heights)
    return similar, dissimilar, classes


def _drawn(tops: Tensor, lefts: Tensor, rights: Tensor, classes: Tensor) -> Images:
    images = torch.zeros(len(tops), 3, SIDE, SIDE)
    for image, top, left, right, of_class in zip(
        images, tops.tolist(), lefts.tolist(), rights.tolist(), classes.tolist(), strict=True
    ):
        colours = (RED, GREEN) if of_class == 0 else (GREEN, RED)
        for channel, column in zip(colours, (left, right), strict=True):
            image[channel, top : top + SQUARE, column : column + SQUARE] = 1
    return images
