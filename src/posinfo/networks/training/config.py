"""How a network is trained: optimiser, schedule and length."""

from collections.abc import Callable, Iterable
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from posinfo.choices import Section, one_of
from posinfo.networks.training.loop import KEPT, Batch, Fitted, Optimiser, Schedule, fit_epochs
from posinfo.work import Work

Rate = Annotated[float, Field(ge=0, lt=1)]


class TrainingConfig(Section):
    """Protocol of a training.

    Attributes:
        epochs: passes over the train images.
        batch_size: images per step.
        optimiser: a key of ``OPTIMISERS``.
        lr: learning rate at the start; of ``one_cycle``, the highest; of ``adadelta``, a factor.
        betas: decay rates of the two averages of ``adam`` and ``adamw``; null for ``sgd``.
        momentum: momentum of SGD; null for the others.
        weight_decay: factor of the L2 penalty: this share of a weight is added to its gradient, or
            by ``adamw`` taken off the weight itself, times the learning rate.
        schedule: how the learning rate changes over the steps, a key of ``SCHEDULES``;
            ``one_cycle`` also moves ``momentum``, or the first of ``betas``, between .95 and .85.
        mirrored: whether half of the train images are flipped left to right.
        keep: the epoch whose weights are kept, a key of ``KEPT``: the best on validation images, or
            the last.
        compile: whether ``torch.compile`` compiles the network; takes a minute before the first
            step.
    """

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    optimiser: Annotated[str, one_of("training.optimiser", lambda: OPTIMISERS)]
    lr: float = Field(gt=0, allow_inf_nan=False)
    betas: tuple[Rate, Rate] | None
    momentum: Rate | None
    weight_decay: float = Field(ge=0)
    schedule: Annotated[str, one_of("training.schedule", lambda: SCHEDULES)]
    mirrored: bool
    keep: Annotated[str, one_of("training.keep", KEPT)]
    compile: bool

    @model_validator(mode="after")
    def _of_this_optimiser(self) -> "TrainingConfig":
        for name, optimisers in (("betas", ("adam", "adamw")), ("momentum", ("sgd",))):
            value, needed = getattr(self, name), self.optimiser in optimisers
            if (value is not None) != needed:
                raise ValueError(
                    f"training.optimiser {self.optimiser!r} {'needs' if needed else 'has no'} "
                    f"{name}; got {value}"
                )
        return self

    def build(self, network: nn.Module, steps: int) -> tuple[Optimiser, Schedule]:
        """The optimiser of a network's parameters, and the schedule of its learning rate.

        Args:
            network: the network to train.
            steps: length of the schedule: optimiser steps of the whole training.
        """
        optimiser = OPTIMISERS[self.optimiser](network, self)
        return optimiser, SCHEDULES[self.schedule](optimiser, steps)


def train_network(
    network: nn.Module,
    config: TrainingConfig,
    steps: int,
    batches: Callable[[int], Iterable[Batch]],
    loss_of: Callable[[Batch], Float[Tensor, " k"]],
    *,
    validate: Callable[[], float],
    seed: int,
    work: Work,
) -> Fitted:
    """Train a network by a protocol, from the first optimiser step to the kept weights.

    Args:
        network: see ``fit_epochs``; its weights become channels last in memory.
        config: the protocol.
        steps: batches per epoch.
        batches: see ``fit_epochs``.
        loss_of: see ``fit``.
        validate: see ``fit_epochs``.
        seed: see ``fit_epochs``.
        work: see ``fit_epochs``; ``on_total`` is called with the steps of all epochs.

    Raises:
        FloatingPointError, ValueError: see ``fit_epochs``.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    work.on_total(config.epochs * steps)
    return fit_epochs(
        network,
        config.epochs,
        batches,
        loss_of,
        *config.build(network, config.epochs * steps),
        validate=validate,
        keep=config.keep,
        seed=seed,
        work=work,
    )


def _adam(network: nn.Module, config: TrainingConfig) -> Optimiser:
    assert config.betas is not None
    return torch.optim.Adam(
        network.parameters(), config.lr, betas=config.betas, weight_decay=config.weight_decay
    )


def _adamw(network: nn.Module, config: TrainingConfig) -> Optimiser:
    assert config.betas is not None
    return torch.optim.AdamW(
        network.parameters(), config.lr, betas=config.betas, weight_decay=config.weight_decay
    )


def _adadelta(network: nn.Module, config: TrainingConfig) -> Optimiser:
    return torch.optim.Adadelta(
        network.parameters(), config.lr, rho=0.9, eps=1e-6, weight_decay=config.weight_decay
    )


def _sgd(network: nn.Module, config: TrainingConfig) -> Optimiser:
    return torch.optim.SGD(
        network.parameters(),
        config.lr,
        momentum=config.momentum or 0.0,
        weight_decay=config.weight_decay,
    )


def _constant(optimiser: Optimiser, steps: int) -> Schedule:
    return torch.optim.lr_scheduler.ConstantLR(optimiser, factor=1.0)


def _one_cycle(optimiser: Optimiser, steps: int) -> Schedule:
    rate = optimiser.param_groups[0]["lr"]
    return torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=rate, total_steps=steps)


def _cosine(optimiser: Optimiser, steps: int) -> Schedule:
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=steps)


OPTIMISERS: dict[str, Callable[[nn.Module, TrainingConfig], Optimiser]] = {
    "adadelta": _adadelta,  # decay rate .9
    "adam": _adam,
    "adamw": _adamw,
    "sgd": _sgd,
}

SCHEDULES: dict[str, Callable[[Optimiser, int], Schedule]] = {
    "constant": _constant,
    "cosine": _cosine,  # to zero
    "one_cycle": _one_cycle,  # up to lr in 30 % of the steps, then to zero
}
