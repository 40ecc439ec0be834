"""Training with random crops, and predictions at every offset (Islam et al., ICCV 2021)."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Bool, Int64
from torch import Tensor, nn

from posinfo.networks.models.augshift import AugShiftConfig, Labels, LatentClassifier, augshift_loss
from posinfo.networks.training.config import TrainingConfig, train_network
from posinfo.networks.training.loop import Fitted, epoch_generator
from posinfo.stimuli.crops import Crops
from posinfo.work import Work, silent

EVALUATED_AT_ONCE = 250  # windows per forward pass of an evaluation


def train_augshift(
    network: LatentClassifier,
    train: tuple[Crops, Int64[Tensor, " _"]],
    validation: tuple[Crops, Int64[Tensor, " _"]],
    config: AugShiftConfig,
    training: TrainingConfig,
    *,
    seed: int,
    work: Work,
) -> Fitted:
    """Train on random crops; two independent ones with the same flip where the method asks.

    Args:
        network: the classifier; on ``work.device``.
        train: padded images and their labels.
        validation: unpadded images and their labels, whose accuracy decides which epoch is kept.
        config: the method.
        training: the protocol.
        seed: of the order, offsets, flips and dropout.
        work: see ``fit_epochs``; ``dtype`` is that of the forward and backward pass.
            ``on_total`` and ``on_progress`` count optimiser steps.

    Raises:
        FloatingPointError, ValueError: see ``fit_epochs``; fewer images than a batch, or labels
            that the network has no class for.
    """
    if training.compile:
        network.maps.compile()  # the loss calls it, not the network
    crops, labels = train
    _require_enough(labels, training.batch_size, network.head.out_features)

    def loss_of(batch: tuple[Labels, Tensor, Tensor | None]) -> Tensor:
        images, offsets, mirrored = batch
        views = [crops.batch(images, view, mirrored) for view in offsets]
        with work.autocast():
            loss = augshift_loss(network, views, labels[images].to(work.device), config)
        return loss[None]

    def validate() -> float:
        unheard = replace(work, on_progress=silent)  # the steps of the training are counted
        predictions = predict_offsets(network, validation[0], [(0, 0)], unheard)
        return (predictions[:, 0] == validation[1]).double().mean().item()

    return train_network(
        network,
        training,
        len(labels) // training.batch_size,
        lambda epoch: _batches(crops, training, config.crops, seed, epoch),
        loss_of,
        validate=validate,
        seed=seed,
        work=work,
    )


def predict_offsets(
    network: nn.Module, crops: Crops, offsets: list[tuple[int, int]], work: Work
) -> Int64[Tensor, "n o"]:
    """Predicted class of each image at each offset; every window is classified exactly once.

    Args:
        network: maps images to logits; put in evaluation mode.
        crops: the padded images.
        offsets: rows and columns in pixels at which windows start.
        work: its ``device`` and ``dtype`` are those of the forward pass. ``on_progress`` is called
            with the number of windows; ``on_total`` is not, for a caller adds up several calls.
    """
    network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.arange(len(crops)).repeat_interleave(len(offsets))
    starts = torch.tensor(offsets).repeat(len(crops), 1)
    predictions = []
    with torch.inference_mode(), work.autocast():
        for batch in zip(
            images.split(EVALUATED_AT_ONCE), starts.split(EVALUATED_AT_ONCE), strict=True
        ):
            predictions.append(network(crops.batch(*batch)).float().argmax(1).cpu())
            work.on_progress(len(batch[0]))
    return torch.cat(predictions).view(len(crops), len(offsets))


def predict_all_offsets(network: nn.Module, crops: Crops, work: Work) -> Int64[Tensor, "n k k"]:
    """The class that a network gives each image at every offset, row by row; see above."""
    side = range(crops.offsets)
    offsets = [(row, column) for row in side for column in side]
    return predict_offsets(network, crops, offsets, work).view(-1, len(side), len(side))


def _batches(
    crops: Crops, training: TrainingConfig, views: int, seed: int, epoch: int
) -> Iterator[tuple[Labels, Int64[Tensor, "v b 2"], Bool[Tensor, " b"] | None]]:
    """Images in random order, cropped at random; the incomplete batch at the end is left out."""
    count = len(crops)
    generator = epoch_generator(seed, epoch)
    order = torch.randperm(count, generator=generator)
    offsets = torch.randint(crops.offsets, (views, count, 2), generator=generator)
    mirrored = torch.rand(count, generator=generator) < 1 / 2 if training.mirrored else None
    for start in range(0, count - training.batch_size + 1, training.batch_size):
        batch = slice(start, start + training.batch_size)
        flips = None if mirrored is None else mirrored[batch]
        yield order[batch], offsets[:, batch], flips


def _require_enough(labels: Labels, batch_size: int, classes: int) -> None:
    if len(labels) < batch_size:
        raise ValueError(f"{len(labels)} train images are fewer than a batch of {batch_size}")
    if int(labels.max()) >= classes:
        raise ValueError(
            f"the labels go up to {int(labels.max())}, but the network has {classes} classes"
        )
