"""The one training loop."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from posinfo.progress import OnProgress, silent

Batch = TypeVar("Batch")


def fit(
    model: nn.Module,
    batches: Iterable[Batch],
    loss_of: Callable[[Batch], Float[Tensor, " k"]],
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    on_progress: OnProgress = silent,
) -> Float[Tensor, "steps k"]:
    """One optimiser step per batch.

    Args:
        model: put in training mode; its parameters belong to ``optimiser``.
        batches: as many as there are steps.
        loss_of: the losses of a batch, one per independent part of the model; their sum is
            minimised.
        optimiser: updates the parameters.
        schedule: of the learning rate, advanced after each step.
        on_progress: called after each step.

    Returns:
        The losses of every step, on the CPU.

    Raises:
        FloatingPointError: a loss is not finite; the message says in which step.
    """
    model.train()
    history = []
    for step, batch in enumerate(batches, start=1):
        losses = loss_of(batch)
        if not losses.isfinite().all():
            raise FloatingPointError(
                f"the loss is {losses.detach().tolist()} in step {step}: lower the learning rate"
            )
        optimiser.zero_grad(set_to_none=True)
        losses.sum().backward()
        optimiser.step()
        schedule.step()
        history.append(losses.detach())
        on_progress(1)
    return torch.stack(history).cpu()
