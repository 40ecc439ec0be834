"""Training and exhaustive evaluation on shifted canvases (Islam et al., ICCV 2021)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from posinfo.choices import one_of, pick
from posinfo.networks.surgery.permutation import other_orders
from posinfo.networks.training.config import TrainingConfig, train_network
from posinfo.networks.training.loop import Fitted, epoch_generator
from posinfo.stimuli.canvases import CanvasConfig, Canvases
from posinfo.stimuli.labelled_images import SPLITS
from posinfo.work import Work

EVALUATED_AT_ONCE = 50  # canvases per forward pass, each of which draws one permutation
VALIDATION_LOCATIONS = 3  # per validation image
VALIDATION_SEED, TEST_SEED = 1_000_001, 1_000_002  # of the permutations drawn there

Labels = Int64[Tensor, " n"]
TaskName = Annotated[str, one_of("task", lambda: TASKS)]


class Task(NamedTuple):
    """What a network is to recognise on a canvas.

    Attributes:
        targets: maps the labels of the tiles and their locations to the right answers.
        answers: maps the numbers of locations and of image classes to the number of answers.
    """

    targets: Callable[[Labels, Labels], Labels]
    answers: Callable[[int, int], int]


@dataclass(frozen=True)
class LabelledCanvases:
    """Tiles to be pasted on canvases, and the image class of each.

    Attributes:
        canvases: the tiles on their device.
        labels: class of each tile, 0 to ``classes - 1``, on the CPU.
        classes: number of image classes.
        task: a key of ``TASKS``.
    """

    canvases: Canvases
    labels: Labels
    classes: int
    task: str

    @classmethod
    def of(
        cls, images: Mapping[str, Tensor], split: str, canvas: CanvasConfig, task: str, work: Work
    ) -> "LabelledCanvases":
        """The tiles of a split.

        Args:
            images: of ``load_labelled_images``.
            split: one of ``SPLITS``.
            canvas: that they are pasted on.
            task: a key of ``TASKS``.
            work: its device holds the tiles, its dtype is that of the canvases.

        Raises:
            ValueError: the tiles do not fit the canvas.
        """
        canvases = Canvases(
            images[f"{split}.pixels"],
            canvas,
            images["mean"],
            images["std"],
            device=work.device,
            dtype=work.dtype,
        )
        classes = 1 + max(int(images[f"{name}.labels"].max()) for name in SPLITS)
        return cls(canvases, images[f"{split}.labels"], classes, task)

    def preview(self, count: int) -> UInt8[Tensor, "count 3 s s"]:
        """The first tiles, each at the next location, as RGB values 0..255."""
        tiles = torch.arange(min(count, len(self.labels)))
        batch = self.canvases.batch(tiles, tiles % self.canvases.config.locations)
        return self.canvases.colours_of(batch)

    @property
    def answers(self) -> int:
        """Number of classes of the task: of locations or of images."""
        return pick("task", self.task, TASKS).answers(self.canvases.config.locations, self.classes)

    def targets(self, images: Labels, locations: Labels) -> Labels:
        """The right answer for each of these images at its location, 0 to ``answers - 1``."""
        return pick("task", self.task, TASKS).targets(self.labels[images], locations)


def train_on_canvases(
    network: nn.Module,
    train: LabelledCanvases,
    validation: LabelledCanvases,
    config: TrainingConfig,
    *,
    seed: int,
    work: Work,
) -> Fitted:
    """Train a network on tiles at random locations.

    Locations are drawn uniformly and anew for each image in each epoch. Each validation image is
    shown at ``VALIDATION_LOCATIONS`` random locations, the same ones after every epoch.

    Args:
        network: maps canvases to logits; on ``work.device``.
        train: canvases that the network learns from.
        validation: canvases whose accuracy decides which epoch is kept.
        config: the protocol.
        seed: of the order, locations, flips and dropout.
        work: see ``fit_epochs``; ``dtype`` is that of the forward and backward pass, weights and
            loss are float32. ``on_total`` and ``on_progress`` count optimiser steps.

    Raises:
        FloatingPointError, ValueError: see ``fit_epochs``.
    """
    if config.compile:
        network.compile()

    def loss_of(batch: tuple[Labels, Labels, Tensor | None]) -> Tensor:
        images, locations, mirrored = batch
        with work.autocast():
            logits = network(train.canvases.batch(images, locations, mirrored))
        targets = train.targets(images, locations).to(work.device)
        return cross_entropy(logits.float(), targets)[None]

    held_out = torch.arange(len(validation.labels)).repeat(VALIDATION_LOCATIONS)
    generator = torch.Generator().manual_seed(seed)
    pairs = held_out, _random_locations(validation, len(held_out), generator)
    return train_network(
        network,
        config,
        -(-len(train.labels) // config.batch_size),
        lambda epoch: _batches(train, config, seed, epoch),
        loss_of,
        validate=lambda: _accuracy(network, validation, pairs, work),
        seed=seed,
        work=work,
    )


def count_answers(
    network: nn.Module, test: LabelledCanvases, work: Work
) -> Int64[Tensor, "locations targets answers"]:
    """Count the predictions for every image at every location.

    The pairs of image and location are shuffled, so that a permutation that is shared by a batch
    is not shared by a location; permutations are drawn from a seed of the test's own.

    Args:
        network: maps canvases to logits; put in evaluation mode.
        test: canvases to be classified.
        work: its ``device`` and ``dtype`` are those of the forward pass; ``on_total`` and
            ``on_progress`` count canvases.

    Returns:
        How often each class was predicted, by location and right class.
    """
    network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    grid, count = test.canvases.config.locations, len(test.labels)
    order = torch.randperm(grid * count, generator=torch.Generator().manual_seed(TEST_SEED))
    counts = torch.zeros(grid * test.answers**2, dtype=torch.long)
    work.on_total(len(order))
    with other_orders(network, TEST_SEED):
        for pairs in order.split(EVALUATED_AT_ONCE):
            locations, images = pairs // count, pairs % count
            predictions = _predictions(network, test, (images, locations), work)
            rows = locations * test.answers + test.targets(images, locations)
            counts += (rows * test.answers + predictions).bincount(minlength=len(counts))
            work.on_progress(len(pairs))
    return counts.view(grid, test.answers, test.answers)


def _batches(
    train: LabelledCanvases, config: TrainingConfig, seed: int, epoch: int
) -> Iterator[tuple[Labels, Labels, Tensor | None]]:
    """Images in random order, each at a random location; the last batch may be smaller."""
    count = len(train.labels)
    generator = epoch_generator(seed, epoch)
    order = torch.randperm(count, generator=generator)
    locations = _random_locations(train, count, generator)
    mirrored = torch.rand(count, generator=generator) < 1 / 2 if config.mirrored else None
    for chosen in torch.arange(count).split(config.batch_size):
        yield order[chosen], locations[chosen], None if mirrored is None else mirrored[chosen]


def _random_locations(data: LabelledCanvases, count: int, generator: torch.Generator) -> Labels:
    return torch.randint(data.canvases.config.locations, (count,), generator=generator)


def _accuracy(
    network: nn.Module, data: LabelledCanvases, pairs: tuple[Labels, Labels], work: Work
) -> float:
    """Share of right answers for pairs of image and location; no progress is reported."""
    network.eval()
    right = 0
    with other_orders(network, VALIDATION_SEED):
        for batch in zip(*(part.split(EVALUATED_AT_ONCE) for part in pairs), strict=True):
            predictions = _predictions(network, data, batch, work)
            right += int((predictions == data.targets(*batch)).sum())
    return right / len(pairs[0])


@torch.inference_mode()
def _predictions(
    network: nn.Module, data: LabelledCanvases, pairs: tuple[Labels, Labels], work: Work
) -> Labels:
    with work.autocast():
        logits = network(data.canvases.batch(*pairs))
    return logits.float().argmax(1).cpu()


TASKS: dict[str, Task] = {
    "location": Task(lambda labels, locations: locations, lambda locations, classes: locations),
    "image": Task(lambda labels, locations: labels, lambda locations, classes: classes),
}
