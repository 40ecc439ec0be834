"""Training and exhaustive evaluation on shifted canvases (Islam et al., ICCV 2021)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from posinfo.choices import pick
from posinfo.networks.permutation import other_orders
from posinfo.networks.training import Fitted, epoch_generator, fit_epochs
from posinfo.networks.training_config import TrainingConfig
from posinfo.progress import OnProgress, silent
from posinfo.stimuli.canvases import Canvases

EVALUATED_AT_ONCE = 50  # canvases per forward pass, each of which draws one permutation
VALIDATED_IN = 3  # cells for each validation image
VALIDATION_SEED, TEST_SEED = 1_000_001, 1_000_002  # of the permutations drawn there

Labels = Int64[Tensor, " n"]


class Task(NamedTuple):
    """What is asked of a network.

    Attributes:
        targets: the right answers, from the labels of the tiles and their cells.
        answers: how many there are, from the number of cells and of image classes.
    """

    targets: Callable[[Labels, Labels], Labels]
    answers: Callable[[int, int], int]


@dataclass(frozen=True)
class LabelledCanvases:
    """Tiles that can be pasted, and the class of what each shows.

    Attributes:
        canvases: the tiles on their device.
        labels: of the tiles, 0 to ``classes - 1``.
        classes: number of image classes.
        task: a key of ``TASKS``.
    """

    canvases: Canvases
    labels: Labels
    classes: int
    task: str

    @property
    def answers(self) -> int:
        """How many classes the task has."""
        return pick("task", self.task, TASKS).answers(self.canvases.config.locations, self.classes)

    def targets(self, images: Labels, cells: Labels) -> Labels:
        """What a network should say of these images in these cells."""
        return pick("task", self.task, TASKS).targets(self.labels[images], cells)


def train_on_canvases(
    network: nn.Module,
    train: LabelledCanvases,
    validation: LabelledCanvases,
    config: TrainingConfig,
    *,
    seed: int,
    device: torch.device,
    precision: torch.dtype,
    checkpoint: Path,
    on_progress: OnProgress = silent,
) -> Fitted:
    """Train a network on tiles in random cells.

    Cells are drawn uniformly and anew for each image in each epoch. Validation images stand in
    ``VALIDATED_IN`` random cells each, the same ones after every epoch.

    Args:
        network: maps canvases to logits; on ``device``.
        train: what it learns from.
        validation: what the epoch is chosen on.
        config: the protocol.
        seed: of order, cells and flips.
        device: computes.
        precision: of the forward and backward pass; weights and loss are float32.
        checkpoint: see ``fit_epochs``.
        on_progress: called after each step.

    Raises:
        FloatingPointError, ValueError: see ``fit_epochs``.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if config.compile:
        network.compile()
    steps = -(-len(train.labels) // config.batch_size)
    optimiser, schedule = config.build(network, config.epochs * steps)

    def loss_of(batch: tuple[Labels, Labels, Tensor | None]) -> Tensor:
        images, cells, mirrored = batch
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            logits = network(train.canvases.batch(images, cells, mirrored))
        return cross_entropy(logits.float(), train.targets(images, cells).to(device))[None]

    places = torch.Generator().manual_seed(seed)
    held_out = torch.arange(len(validation.labels)).repeat(VALIDATED_IN)
    shown = held_out, _random_cells(validation, len(held_out), places)
    return fit_epochs(
        network,
        config.epochs,
        lambda epoch: _batches(train, config, seed, epoch),
        loss_of,
        optimiser,
        schedule,
        validate=lambda: _accuracy(network, validation, shown, device, precision),
        keep=config.keep,
        checkpoint=checkpoint,
        on_progress=on_progress,
    )


def count_answers(
    network: nn.Module,
    test: LabelledCanvases,
    device: torch.device,
    precision: torch.dtype,
    on_progress: OnProgress = silent,
) -> Int64[Tensor, "locations targets answers"]:
    """What a network says of every image in every cell.

    The pairs of image and cell are shuffled, so that a permutation that is shared by a batch is not
    shared by a cell; permutations are drawn from a seed of the test's own.

    Args:
        network: maps canvases to logits; put in evaluation mode.
        test: what it is shown.
        device: computes.
        precision: of the forward pass.
        on_progress: called with the number of canvases shown.

    Returns:
        How often each class was answered where each was right, cell by cell.
    """
    network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    locations, images = test.canvases.config.locations, len(test.labels)
    order = torch.randperm(locations * images, generator=torch.Generator().manual_seed(TEST_SEED))
    counts = torch.zeros(locations * test.answers**2, dtype=torch.long)
    with other_orders(network, TEST_SEED):
        for pairs in order.split(EVALUATED_AT_ONCE):
            cells, shown = pairs // images, pairs % images
            answers = _answers(network, test, (shown, cells), device, precision)
            rows = cells * test.answers + test.targets(shown, cells)
            counts += (rows * test.answers + answers).bincount(minlength=len(counts))
            on_progress(len(pairs))
    return counts.view(locations, test.answers, test.answers)


def _batches(
    train: LabelledCanvases, config: TrainingConfig, seed: int, epoch: int
) -> Iterator[tuple[Labels, Labels, Tensor | None]]:
    """Images in random order, each in a random cell; the last batch may be smaller."""
    count = len(train.labels)
    generator = epoch_generator(seed, epoch)
    order = torch.randperm(count, generator=generator)
    cells = _random_cells(train, count, generator)
    mirrored = torch.rand(count, generator=generator) < 1 / 2 if config.mirrored else None
    for chosen in torch.arange(count).split(config.batch_size):
        yield order[chosen], cells[chosen], None if mirrored is None else mirrored[chosen]


def _random_cells(shown: LabelledCanvases, count: int, generator: torch.Generator) -> Labels:
    return torch.randint(shown.canvases.config.locations, (count,), generator=generator)


def _accuracy(
    network: nn.Module,
    shown: LabelledCanvases,
    where: tuple[Labels, Labels],
    device: torch.device,
    precision: torch.dtype,
) -> float:
    network.eval()
    right = 0
    with other_orders(network, VALIDATION_SEED):
        for batch in zip(*(part.split(EVALUATED_AT_ONCE) for part in where), strict=True):
            answers = _answers(network, shown, batch, device, precision)
            right += int((answers == shown.targets(*batch)).sum())
    return right / len(where[0])


@torch.inference_mode()
def _answers(
    network: nn.Module,
    shown: LabelledCanvases,
    batch: tuple[Labels, Labels],
    device: torch.device,
    precision: torch.dtype,
) -> Labels:
    with torch.autocast(device.type, precision, enabled=precision != torch.float32):
        logits = network(shown.canvases.batch(*batch))
    return logits.float().argmax(1).cpu()


TASKS: dict[str, Task] = {
    "location": Task(lambda labels, cells: cells, lambda locations, classes: locations),
    "image": Task(lambda labels, cells: labels, lambda locations, classes: classes),
}
