"""How a classifier is trained: optimiser, schedule and length."""

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from torch import nn

from posinfo.choices import check
from posinfo.networks.training import KEPT

Optimiser = torch.optim.Optimizer
Schedule = torch.optim.lr_scheduler.LRScheduler
Rate = Annotated[float, Field(ge=0, lt=1)]


class TrainingConfig(BaseModel):
    """Protocol of a training.

    Attributes:
        epochs: passes over the train images.
        batch_size: images per step.
        optimiser: a key of ``OPTIMISERS``.
        lr: learning rate at the start.
        betas: decay rates of Adam's two averages; null for ``sgd``.
        momentum: of SGD; null for ``adam``.
        weight_decay: times the weights, added to their gradient.
        schedule: of the learning rate, a key of ``SCHEDULES``.
        mirrored: whether half of the train images are flipped left to right.
        keep: the epoch whose weights are kept, a key of ``KEPT``: the best on validation images, or
            the last.
        compile: whether ``torch.compile`` compiles the network; takes a minute before the first
            step.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    optimiser: str
    lr: float = Field(gt=0, allow_inf_nan=False)
    betas: tuple[Rate, Rate] | None
    momentum: Rate | None
    weight_decay: float = Field(ge=0)
    schedule: str
    mirrored: bool
    keep: str
    compile: bool

    @field_validator("optimiser")
    @classmethod
    def _known_optimiser(cls, optimiser: str) -> str:
        return check("training.optimiser", optimiser, OPTIMISERS)

    @field_validator("schedule")
    @classmethod
    def _known_schedule(cls, schedule: str) -> str:
        return check("training.schedule", schedule, SCHEDULES)

    @field_validator("keep")
    @classmethod
    def _known_keep(cls, keep: str) -> str:
        return check("training.keep", keep, KEPT)

    @model_validator(mode="after")
    def _of_this_optimiser(self) -> "TrainingConfig":
        given = {"betas": self.betas is not None, "momentum": self.momentum is not None}
        wanted = {"betas": self.optimiser == "adam", "momentum": self.optimiser == "sgd"}
        for name, is_given in given.items():
            if is_given != wanted[name]:
                told = "needs" if wanted[name] else "has no"
                got = getattr(self, name)
                raise ValueError(f"training.optimiser {self.optimiser!r} {told} {name}; got {got}")
        return self

    def build(self, network: nn.Module, steps: int) -> tuple[Optimiser, Schedule]:
        """The optimiser of a network's parameters, and its schedule over so many steps."""
        optimiser = OPTIMISERS[self.optimiser](network, self)
        return optimiser, SCHEDULES[self.schedule](optimiser, steps)


def _adam(network: nn.Module, config: TrainingConfig) -> Optimiser:
    assert config.betas is not None
    return torch.optim.Adam(
        network.parameters(), config.lr, betas=config.betas, weight_decay=config.weight_decay
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


def _cosine(optimiser: Optimiser, steps: int) -> Schedule:
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=steps)


OPTIMISERS: dict[str, Callable[[nn.Module, TrainingConfig], Optimiser]] = {
    "adam": _adam,
    "sgd": _sgd,
}

SCHEDULES: dict[str, Callable[[Optimiser, int], Schedule]] = {
    "constant": _constant,
    "cosine": _cosine,  # to zero
}
