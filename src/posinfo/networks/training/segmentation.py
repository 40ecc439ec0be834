"""Training and prediction of segmentation networks."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from posinfo.networks.models.normalisation import Colours, normalise
from posinfo.networks.training.config import TrainingConfig, train_network
from posinfo.networks.training.loop import Fitted, epoch_generator
from posinfo.stimuli.labelled_photographs import IGNORED
from posinfo.work import CPU, Work

EVALUATED_AT_ONCE = 16  # images per forward pass, at most
EVALUATED_PIXELS = 2**22  # the same: two images of Cityscapes


class LabelledPixels(NamedTuple):
    """Images and the class of each of their pixels.

    Attributes:
        pixels: RGB values 0..255, on any device; an array may be one that is read from disk.
        labels: classes, or ``IGNORED``.
        colours: that the images are normalised by.
        device: of what the methods return.
        mirrored: whether they return images and labels mirrored left to right.
    """

    pixels: UInt8[Tensor | np.ndarray, "n 3 h w"]
    labels: UInt8[Tensor | np.ndarray, "n h w"]
    colours: Colours
    device: torch.device = CPU
    mirrored: bool = False

    def images(self, chosen: Tensor | slice) -> Float[Tensor, "b 3 h w"]:
        """Some of the images, normalised and channels last in memory."""
        pixels = self._shown(self.pixels[chosen])
        images = normalise(pixels, "imagenet", self.colours)
        return images.contiguous(memory_format=torch.channels_last)

    def targets(self, chosen: Tensor | slice) -> UInt8[Tensor, "b h w"]:
        """The labels of some of the images."""
        return self._shown(self.labels[chosen])

    def batches(self) -> Iterator[slice]:
        """All images in order, so many at a time as are evaluated at once."""
        count = EVALUATED_PIXELS // (self.pixels.shape[2] * self.pixels.shape[3])
        count = max(1, min(EVALUATED_AT_ONCE, count))
        for start in range(0, len(self.pixels), count):
            yield slice(start, min(start + count, len(self.pixels)))

    def _shown(self, part: Tensor | np.ndarray) -> Tensor:
        tensor = part if isinstance(part, Tensor) else torch.from_numpy(np.array(part))
        tensor = tensor.to(self.device)
        return tensor.flip(-1) if self.mirrored else tensor


def train_segmenter(
    network: nn.Module,
    train: LabelledPixels,
    config: TrainingConfig,
    *,
    validate: Callable[[], float],
    seed: int,
    work: Work,
) -> Fitted:
    """Train a segmentation network by the cross entropy of its pixels.

    Args:
        network: maps images to logits or to a dict with logits ``out``; on ``work.device``.
        train: the images; fastest where they lie on ``work.device``.
        config: the protocol.
        validate: see ``fit_epochs``.
        seed: of the order, the flips and dropout.
        work: see ``fit_epochs``; ``on_total`` and ``on_progress`` count optimiser steps.

    Raises:
        FloatingPointError, ValueError: see ``fit_epochs``; fewer images than a batch.
    """
    if len(train.pixels) < config.batch_size:
        raise ValueError(
            f"{len(train.pixels)} train images are fewer than a batch of {config.batch_size}"
        )
    if config.compile:
        network.compile()

    def loss_of(batch: tuple[Int64[Tensor, " b"], Bool[Tensor, " b"] | None]) -> Tensor:
        chosen, mirrored = (part if part is None else part.to(work.device) for part in batch)
        assert chosen is not None
        images, labels = train.images(chosen), train.targets(chosen).long()
        if mirrored is not None:
            images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
            labels = torch.where(mirrored[:, None, None], labels.flip(2), labels)
        with work.autocast():
            logits = logits_of(network(images))
        return cross_entropy(logits.float(), labels, ignore_index=IGNORED)[None]

    return train_network(
        network,
        config,
        len(train.pixels) // config.batch_size,
        lambda epoch: _batches(len(train.pixels), config, seed, epoch),
        loss_of,
        validate=validate,
        seed=seed,
        work=work,
    )


def logits_of(output: object, classes: int | None = None) -> Float[Tensor, "n k h w"]:
    """The logits in what a segmentation network returns.

    Args:
        output: logits, or a dict with them as ``out``.
        classes: number of them; None: any.

    Raises:
        ValueError: there are none, or those of other classes.
    """
    logits = output.get("out") if isinstance(output, dict) else output
    if not isinstance(logits, Tensor) or logits.ndim != 4:
        raise ValueError(
            "a segmentation network must return logits (n, classes, h, w), or a dict with them as "
            f"'out'; got {type(output).__name__}"
        )
    if classes is not None and logits.shape[1] != classes:
        raise ValueError(f"the network has {logits.shape[1]} classes, the labels have {classes}")
    return logits


@torch.inference_mode()
def predict_pixels(
    network: nn.Module, data: LabelledPixels, work: Work
) -> Iterator[tuple[Int64[Tensor, "b h w"], UInt8[Tensor, "b h w"]]]:
    """The predicted and the right class of each pixel, batch by batch; the network evaluates.

    Args:
        network: see ``train_segmenter``.
        data: the images; its device is the network's.
        work: its ``dtype`` is that of the forward pass; no progress is reported.
    """
    network.eval()
    for batch in data.batches():
        with work.autocast():
            logits = logits_of(network(data.images(batch)))
        yield logits.float().argmax(1), data.targets(batch)


def _batches(
    count: int, config: TrainingConfig, seed: int, epoch: int
) -> Iterator[tuple[Int64[Tensor, " b"], Bool[Tensor, " b"] | None]]:
    """Images in random order; the incomplete batch at the end is left out."""
    generator = epoch_generator(seed, epoch)
    order = torch.randperm(count, generator=generator)
    mirrored = torch.rand(count, generator=generator) < 1 / 2 if config.mirrored else None
    for start in range(0, count - config.batch_size + 1, config.batch_size):
        batch = slice(start, start + config.batch_size)
        yield order[batch], None if mirrored is None else mirrored[batch]
