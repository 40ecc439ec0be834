"""How much what a network answers changes where nothing but the frame around the image does."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import pad

from posinfo.networks.surgery.observed import OUTPUT, Observed


class Answers(NamedTuple):
    """Of a classifier, for each image at each offset of the window.

    Attributes:
        classes: (n, k, k), the class with the largest logit.
        confidence: (n, k, k), the probability of the class that the window in the middle is given.
    """

    classes: Int64[Tensor, "n k k"]
    confidence: Float[Tensor, "n k k"]

    @property
    def wobble(self) -> Float[Tensor, " n"]:
        """The largest minus the smallest confidence over all offsets of an image, in [0, 1]."""
        flat = self.confidence.flatten(1)
        return flat.amax(1) - flat.amin(1)


def answers_by_offset(
    observed: Observed,
    images: Float[Tensor, "n c h w"],
    offsets: Sequence[int],
    side: int,
    *,
    circular: bool = False,
) -> Answers:
    """What a classifier says of windows of larger images.

    Args:
        observed: a classifier in evaluation mode; its output is logits (n, classes).
        images: normalised.
        offsets: rows, and columns, at which windows start, in pixels.
        side: of the windows, in pixels.
        circular: whether the window in the middle is turned around instead by as much, so that
            what leaves it at one side comes in at the other, and nothing new comes into view.
    """
    middle = offsets[(len(offsets) - 1) // 2]

    def window(y: int, x: int) -> Tensor:
        if not circular:
            return images[:, :, y : y + side, x : x + side].contiguous()
        still = images[:, :, middle : middle + side, middle : middle + side]
        return still.roll((middle - y, middle - x), (2, 3))

    with torch.inference_mode():
        scores = {(y, x): observed(window(y, x))[OUTPUT].float() for y in offsets for x in offsets}
    reference = scores[middle, middle].argmax(1, keepdim=True)
    classes = [each.argmax(1) for each in scores.values()]
    confidence = [probabilities(each).gather(1, reference)[:, 0] for each in scores.values()]
    shape = (len(images), len(offsets), len(offsets))
    return Answers(*(torch.stack(each, 1).view(shape).cpu() for each in (classes, confidence)))


def probabilities(scores: Float[Tensor, "n c"]) -> Float[Tensor, "n c"]:
    """Of classes: the softmax of logits, and what is one already as it is."""
    sums = scores.sum(1)
    done = (scores >= 0).all() and torch.allclose(sums, torch.ones_like(sums), atol=1e-3)
    return scores if done else scores.softmax(1)


def shifted_errors(
    observed: Observed,
    images: Float[Tensor, "n c h w"],
    offsets: Sequence[int],
    side: int,
    stride: int,
) -> Float[Tensor, " n"]:
    """How much an output that is a map changes when the window moves, where both see the same.

    Args:
        observed: a network whose output is a map (n, c, h, w).
        images: normalised, larger than the windows.
        offsets: at which windows start along both axes, in pixels, multiples of the stride.
        side: of the windows, in pixels.
        stride: pixels of the image per pixel of the output.

    Returns:
        Root mean square difference of the windows at the first offset and at each other one,
        shifted back, as a share of the root mean square of the first; the mean over offsets.
    """
    with torch.inference_mode():
        maps = [
            observed(images[:, :, o : o + side, o : o + side].contiguous())[OUTPUT].float()
            for o in offsets
        ]
    errors = []
    for offset, shifted in zip(offsets[1:], maps[1:], strict=True):
        moved = (offset - offsets[0]) // stride
        first = maps[0][:, :, moved:, moved:]
        again = shifted[:, :, : first.shape[2], : first.shape[3]]
        errors.append(relative_error(first, again))
    return torch.stack(errors, 1).mean(1).cpu()


def relative_error(
    true: Float[Tensor, "n c h w"], other: Float[Tensor, "n c h w"]
) -> Float[Tensor, " n"]:
    """Root mean square difference, as a share of the root mean square of the first."""
    scale = true.square().mean((1, 2, 3)).sqrt()
    error = (other - true).square().mean((1, 2, 3)).sqrt()
    return torch.where(error == 0, 0, error / scale)  # NaN stays NaN


def changes(first: Tensor, second: Tensor) -> Float[Tensor, " n"]:
    """How much an answer differs from another one, for each image.

    Args:
        first: logits (n, k), or maps (n, c, h, w).
        second: of the same shape.

    Returns:
        Of logits, 1 where the class is another one, else 0; of maps, ``relative_error``.

    Raises:
        ValueError: the shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(
            f"the output is {tuple(second.shape)} in place of {tuple(first.shape)}: the two cannot "
            "be compared"
        )
    if first.ndim == 2:
        return (first.argmax(1) != second.argmax(1)).float().cpu()
    return relative_error(first.float(), second.float()).cpu()


def padded_batch(
    observed: Observed,
    images: Float[Tensor, "n c h w"],
    alone: Tensor,
    more: int,
    stride: int | None,
) -> Float[Tensor, " n"]:
    """The change of the answer where an image lies in a batch with larger ones.

    Zeros are appended at the right and at the bottom, as detectors and segmenters fill up batches.

    Args:
        observed: a network in evaluation mode.
        images: normalised.
        alone: what it answers of them.
        more: rows and columns of zeros, in pixels.
        stride: of an output that is a map; None: it is logits.
    """
    with torch.inference_mode():
        among = observed(pad(images, (0, more, 0, more)))[OUTPUT]
    if stride is not None:
        among = among[:, :, : alone.shape[2], : alone.shape[3]]
    return changes(alone, among)
