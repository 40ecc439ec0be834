"""The one training loop: steps, and epochs that survive the end of the process."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from posinfo.networks.training.checkpoints import read_checkpoint, restore, save_checkpoint
from posinfo.work import Work, silent

Batch = TypeVar("Batch")
Optimiser = torch.optim.Optimizer
Schedule = torch.optim.lr_scheduler.LRScheduler

CHECKED_EVERY = 50  # steps; looking at a loss makes a GPU wait
SEEDS_APART = 100_003  # numbers that each seed of a training has for generators of its epochs
FOR_LAYERS = SEEDS_APART // 2  # and what of them dropout begins at; order and flips begin at 0


@dataclass(frozen=True)
class Fitted:
    """Course and outcome of a training.

    Attributes:
        losses: mean train loss of each epoch.
        scores: validation score after each epoch.
        epoch: the epoch whose weights the model has, counted from 1.
    """

    losses: Float[Tensor, " epochs"]
    scores: Float[Tensor, " epochs"]
    epoch: int


def fit(
    model: nn.Module,
    batches: Iterable[Batch],
    loss_of: Callable[[Batch], Float[Tensor, " k"]],
    optimiser: Optimiser,
    schedule: Schedule,
    on_progress: Callable[[int], object] = silent,
) -> Float[Tensor, "steps k"]:
    """One optimiser step per batch.

    Args:
        model: put in training mode; its parameters belong to ``optimiser``.
        batches: one per step.
        loss_of: computes the losses of a batch, one per independent part of the model; their sum
            is minimised.
        optimiser: updates the parameters.
        schedule: sets the learning rate; advanced after each step.
        on_progress: called with 1 after each step.

    Returns:
        The losses of every step, on the CPU.

    Raises:
        FloatingPointError: a loss was not finite; the message says in which step.
    """
    model.train()
    history = []
    for batch in batches:
        losses = loss_of(batch)
        optimiser.zero_grad(set_to_none=True)
        losses.sum().backward()
        optimiser.step()
        schedule.step()
        history.append(losses.detach())
        if len(history) % CHECKED_EVERY == 0:
            _require_finite(history[-CHECKED_EVERY:], len(history) - CHECKED_EVERY)
        on_progress(1)
    rest = len(history) % CHECKED_EVERY
    _require_finite(history[len(history) - rest :], len(history) - rest)
    return torch.stack(history).cpu()


def fit_epochs(
    model: nn.Module,
    epochs: int,
    batches: Callable[[int], Iterable[Batch]],
    loss_of: Callable[[Batch], Float[Tensor, " k"]],
    optimiser: Optimiser,
    schedule: Schedule,
    *,
    validate: Callable[[], float],
    keep: str,
    seed: int,
    work: Work = Work(),
) -> Fitted:
    """Train epoch by epoch, and go on where an earlier process ended.

    After each epoch the checkpoint is replaced in one step, so that a process may be killed at
    any time: training then goes on after the last finished epoch and, on a CPU with the same
    number of threads, ends with the same weights bit for bit. A finished training is not repeated.
    Without a checkpoint nothing is stored and training starts at the first epoch.

    Args:
        model: as it was built, on its device; has the kept weights at the end. Generators of its
            own belong to its state (``get_extra_state``).
        epochs: number of epochs, those of earlier processes included.
        batches: returns the batches of an epoch, counted from 1; the same ones at every call.
        loss_of: see ``fit``.
        optimiser: see ``fit``.
        schedule: see ``fit``.
        validate: returns the score of the model as it is; the higher, the better.
        keep: the epoch whose weights are kept, a key of ``KEPT``.
        seed: of what layers such as dropout draw.
        work: its ``checkpoint`` is a file of this training alone, whose folder is made.
            ``on_progress`` is called with the steps of earlier processes, then after each step;
            ``on_epoch`` with the mean train loss and the score of each epoch that is trained now,
            once its checkpoint is stored. Device and dtype are those of the model and ``loss_of``.

    Raises:
        FloatingPointError: a loss, a weight or a score was not finite; the checkpoint of the epoch
            before is kept.
        ValueError: the checkpoint cannot be read, or is of another training.
    """
    parts = {"model": model, "optimiser": optimiser, "schedule": schedule}
    done: dict[str, Any] = {"steps": 0, "losses": [], "scores": [], "kept": {}}
    checkpoint = work.checkpoint
    if checkpoint is not None:
        done |= read_checkpoint(checkpoint)
        if 0 < len(done["losses"]) < epochs:
            restore(parts, done, checkpoint)
    losses, scores = done["losses"], done["scores"]
    work.on_progress(done["steps"])
    for epoch in range(len(losses) + 1, epochs + 1):
        try:
            with _seeded(seed, epoch, work.device):
                history = fit(model, batches(epoch), loss_of, optimiser, schedule, work.on_progress)
            scores.append(_finite_score(model, validate))
        except FloatingPointError as error:
            raise FloatingPointError(f"epoch {epoch}: {error}") from error
        losses.append(history.sum(1).mean().item())
        done["steps"] += len(history)
        if KEPT[keep](scores, epochs) == epoch:
            done["kept"] = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        if checkpoint is not None:
            save_checkpoint(checkpoint, parts if epoch < epochs else {}, done)
        work.on_epoch(epoch, losses[-1], scores[-1])
    try:
        model.load_state_dict(done["kept"])
    except RuntimeError as error:
        raise ValueError(f"the checkpoint {checkpoint} is of another network: {error}") from error
    return Fitted(torch.tensor(losses), torch.tensor(scores), KEPT[keep](scores, epochs))


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """A generator on the CPU for an epoch's random draws, independent of earlier epochs.

    Args:
        seed: seed of the training.
        epoch: number of the epoch, counted from 1.
    """
    return torch.Generator().manual_seed(_seed_of(seed, epoch))


@contextmanager
def _seeded(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Within the block, what PyTorch draws depends on seed and epoch; the caller's draws do not."""
    layers = _seed_of(seed, epoch) + FOR_LAYERS
    # torch.manual_seed would seed all GPUs of the machine, which nothing restores
    with torch.random.fork_rng([]), _seeded_gpu(layers, device):
        torch.default_generator.manual_seed(layers)
        yield


@contextmanager
def _seeded_gpu(seed: int, device: torch.device) -> Iterator[None]:
    gpu = torch.get_device_module(device)  # torch.cuda or torch.mps
    if device.type == "cpu" or not gpu.is_available():
        yield
        return
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        before = gpu.get_rng_state()
        gpu.manual_seed(seed)
        try:
            yield
        finally:
            gpu.set_rng_state(before)


def _seed_of(seed: int, epoch: int) -> int:
    return seed * SEEDS_APART + epoch


def _finite_score(model: nn.Module, validate: Callable[[], float]) -> float:
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise FloatingPointError(f"{name} is no longer finite: lower the learning rate")
    score = validate()
    if not isfinite(score):
        raise FloatingPointError(f"the validation score is {score}: lower the learning rate")
    return score


def _require_finite(losses: list[Tensor], steps_before: int) -> None:
    if not losses:
        return
    finite = torch.stack(losses).isfinite().all(1)
    if not finite.all():
        step = int((~finite).int().argmax())
        raise FloatingPointError(
            f"the loss is {losses[step].tolist()} in step {steps_before + step + 1}: "
            "lower the learning rate"
        )


# from the validation scores so far and the number of epochs: the epoch to keep, counted from 1
KEPT: dict[str, Callable[[list[float], int], int]] = {
    "best": lambda scores, epochs: scores.index(max(scores)) + 1,  # the first of them
    "last": lambda scores, epochs: epochs,
}
