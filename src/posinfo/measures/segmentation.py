"""How well pixels are told apart: confusion matrices, and the mean intersection over union."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from posinfo.stimuli.labelled_photographs import IGNORED


class PixelCounter:
    """Counts the right and wrong predictions for the pixels of some images.

    Args:
        labels: the right class of each pixel, 0 to ``classes - 1``, or ``IGNORED``; their device
            counts.
        classes: number of them.
        parts: the part of an image that each pixel belongs to, 0 to p - 1; None: there is one.

    Raises:
        ValueError: a label is neither a class nor ``IGNORED``.
    """

    def __init__(
        self,
        labels: Shaped[Tensor, "n h w"],
        classes: int,
        parts: Int64[Tensor, "h w"] | None = None,
    ) -> None:
        counted = labels != IGNORED
        if bool((counted & ((labels >= classes) | (labels < 0))).any()):
            wrong = sorted(set(labels[counted].tolist()) - set(range(classes)))
            raise ValueError(f"labels must be 0 to {classes - 1}, or {IGNORED}; got {wrong}")
        if parts is None:
            parts = torch.zeros(labels.shape[1:], dtype=torch.long, device=labels.device)
        count = int(parts.max()) + 1
        images = torch.arange(len(labels), device=labels.device)[:, None, None]
        rows = (images * count + parts) * classes + labels.long()
        self._shape = len(labels), count, classes, classes
        self._size = len(labels) * count * classes**2
        # what is not counted falls behind the end
        self._cells = torch.where(counted, rows * classes, self._size)

    def count(self, predictions: Int64[Tensor, "n h w"]) -> Int64[Tensor, "n p k k"]:
        """Pixels by image, part, right class and predicted class.

        Args:
            predictions: class of each pixel, 0 to ``classes - 1``.
        """
        cells = (self._cells + predictions).flatten().bincount(minlength=self._size)
        return cells[: self._size].view(self._shape)


def border_rings(size: tuple[int, int], edges: Sequence[int]) -> Int64[Tensor, "h w"]:
    """In which ring around the middle each pixel lies, 0 for the outermost.

    Args:
        size: height and width of the images in pixels.
        edges: distances from the nearest border, in pixels, at which a ring ends; ascending. The
            last ring is all that lies farther inside.

    Raises:
        ValueError: a ring without a pixel.
    """
    down, across = (
        torch.arange(length).minimum(length - 1 - torch.arange(length)) for length in size
    )
    distance = torch.minimum(down[:, None], across[None])
    rings = torch.bucketize(distance, torch.tensor(list(edges), dtype=torch.long), right=True)
    if len(rings.unique()) != len(edges) + 1:
        raise ValueError(
            f"rings at {list(edges)} px: one has no pixel in images of {size[0]} x {size[1]} px"
        )
    return rings


def class_iou(confusion: Shaped[Tensor, "*any k k"]) -> Float[Tensor, "*any k"]:
    """Intersection over union of each class; NaN for one that is neither there nor predicted.

    Args:
        confusion: pixels by right and predicted class, added up over images.
    """
    both = confusion.diagonal(dim1=-2, dim2=-1).double()
    return both / (confusion.sum(-1) + confusion.sum(-2) - both)


def mean_iou(confusion: Shaped[Tensor, "*any k k"]) -> Float[Tensor, "*any"]:
    """The mean of ``class_iou`` over the classes that are there or predicted; in [0, 1]."""
    return class_iou(confusion).nanmean(-1)
