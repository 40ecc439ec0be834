"""Training with random crops, and predictions at every offset (Islam et al., ICCV 2021)."""

from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import Bool, Int64
from torch import Tensor, nn

from posinfo.networks.augshift import AugShiftConfig, Labels, LatentClassifier, augshift_loss
from posinfo.networks.training import Fitted, epoch_generator, fit_epochs
from posinfo.networks.training_config import TrainingConfig
from posinfo.progress import OnProgress, silent
from posinfo.stimuli.crops import Crops

AT_ONCE = 250  # windows per forward pass of an evaluation


def train_augshift(
    network: LatentClassifier,
    train: tuple[Crops, Labels],
    validation: tuple[Crops, Labels],
    config: AugShiftConfig,
    training: TrainingConfig,
    *,
    seed: int,
    device: torch.device,
    precision: torch.dtype,
    checkpoint: Path,
    on_progress: OnProgress = silent,
) -> Fitted:
    """Train on random crops; two independent ones with the same flip where the method asks.

    Args:
        network: on ``device``.
        train: padded images and their labels.
        validation: what is scored after each epoch; padded by nothing.
        config: the method.
        training: the protocol.
        seed: of order, offsets and flips.
        device: computes.
        precision: of the forward and backward pass.
        checkpoint: see ``fit_epochs``.
        on_progress: called after each step.

    Raises:
        FloatingPointError, ValueError: see ``fit_epochs``; fewer images than a batch, or labels
            that the network has no class for.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if training.compile:
        network.maps.compile()  # the loss calls it, not the network
    crops, labels = train
    _require_enough(labels, training.batch_size, network.head.out_features)
    steps = len(labels) // training.batch_size
    optimiser, schedule = training.build(network, training.epochs * steps)
    enabled = precision != torch.float32

    def loss_of(batch: tuple[Labels, Tensor, Tensor | None]) -> Tensor:
        images, offsets, mirrored = batch
        views = [crops.batch(images, view, mirrored) for view in offsets]
        with torch.autocast(device.type, precision, enabled=enabled):
            loss = augshift_loss(network, views, labels[images].to(device), config)
        return loss[None]

    def validate() -> float:
        answers = predict_offsets(network, validation[0], [(0, 0)], device, precision)
        return (answers[:, 0] == validation[1]).double().mean().item()

    return fit_epochs(
        network,
        training.epochs,
        lambda epoch: _batches(crops, training, config.crops, seed, epoch),
        loss_of,
        optimiser,
        schedule,
        validate=validate,
        keep=training.keep,
        checkpoint=checkpoint,
        on_progress=on_progress,
    )


def predict_offsets(
    network: nn.Module,
    crops: Crops,
    offsets: list[tuple[int, int]],
    device: torch.device,
    precision: torch.dtype,
    on_progress: OnProgress = silent,
) -> Int64[Tensor, "n o"]:
    """The class that a network gives each image at each offset: one forward pass each, no more.

    Args:
        network: maps images to logits; put in evaluation mode.
        crops: the images.
        offsets: rows and columns at which windows start.
        device: computes.
        precision: of the forward pass.
        on_progress: called with the number of windows shown.
    """
    network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.arange(len(crops)).repeat_interleave(len(offsets))
    places = torch.tensor(offsets).repeat(len(crops), 1)
    answers = []
    with (
        torch.inference_mode(),
        torch.autocast(device.type, precision, enabled=precision != torch.float32),
    ):
        for chosen, where in zip(images.split(AT_ONCE), places.split(AT_ONCE), strict=True):
            answers.append(network(crops.batch(chosen, where)).float().argmax(1).cpu())
            on_progress(len(chosen))
    return torch.cat(answers).view(len(crops), len(offsets))


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
