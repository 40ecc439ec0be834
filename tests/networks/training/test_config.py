import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from posinfo.networks.training.config import (
    OPTIMISERS,
    SCHEDULES,
    TrainingConfig,
    train_network,
)
from posinfo.work import Work

OF_ADAM = {"betas": (0.5, 0.999), "momentum": None}
OWN = {
    "adadelta": {"betas": None, "momentum": None}, "adam": OF_ADAM, "adamw": OF_ADAM,
    "sgd": {"betas": None, "momentum": 0.9},
}  # fmt: skip
OF_GROUPS = {"adadelta": {"rho": 0.9, "eps": 1e-6}, "sgd": {"momentum": 0.9}}


def config(optimiser="adam", **changes):
    settings = {
        "epochs": 2, "batch_size": 4, "optimiser": optimiser, "lr": 0.1, "weight_decay": 0.0,
        "schedule": "constant", "mirrored": False, "keep": "best", "compile": False,
    }  # fmt: skip
    return TrainingConfig(**{**settings, **OWN.get(optimiser, OWN["adam"]), **changes})


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_optimiser_has_the_given_settings(optimiser):
    built, _ = config(optimiser, weight_decay=0.01).build(nn.Linear(1, 1), 10)
    (group,) = built.param_groups
    assert type(built).__name__.lower() == optimiser
    assert (group["lr"], group["weight_decay"]) == (0.1, 0.01)
    expected = OF_GROUPS.get(optimiser, {"betas": (0.5, 0.999)})
    assert expected.items() <= group.items()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedule_over_all_steps(schedule):
    optimiser, schedules = config(schedule=schedule).build(nn.Linear(1, 1), 10)
    rates = []
    for _ in range(10):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedules.step()
    steps = torch.arange(10).double()
    down = 0.5 * (1 + torch.cos(torch.pi * (steps - 2) / 7))  # from step 2, at 30 %, to the last
    expected = {
        "constant": torch.full((10,), 0.1).double(),
        "cosine": 0.05 * (1 + torch.cos(torch.pi * steps / 10)),
        "one_cycle": torch.where(
            steps < 2,
            0.1 / 25 + (0.1 - 0.1 / 25) * 0.5 * (1 - torch.cos(torch.pi * steps / 2)),
            0.1 / 25e4 + (0.1 - 0.1 / 25e4) * down,
        ),
    }
    torch.testing.assert_close(
        torch.tensor(rates).double(), expected[schedule], rtol=1e-5, atol=1e-8
    )


class Falling(nn.Module):
    """Its loss is its one weight, which falls by the learning rate in each step."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


def train(scores=(0.0, 0.0), work=Work(), **changes):
    network, scores = Falling(), iter(scores)
    settings = {"momentum": 0.0, "schedule": "cosine", "keep": "last", **changes}
    fitted = train_network(
        network, config("sgd", **settings), 5, lambda epoch: range(5),
        lambda step: network.weight, validate=lambda: next(scores), seed=0,
        work=work,
    )  # fmt: skip
    return network.weight.item(), fitted.epoch


def test_schedule_is_of_the_whole_training():
    """Two epochs of five steps: ten learning rates along one half of a cosine."""
    rates = [0.05 * (1 + math.cos(math.pi * step / 10)) for step in range(10)]
    assert train() == (pytest.approx(-sum(rates)), 2)


def test_steps_of_all_epochs_are_foretold():
    totals, done = [], []
    train(work=Work(on_total=totals.append, on_progress=done.append))
    assert totals == [2 * 5] and sum(done) == 2 * 5


def test_kept_epoch_is_that_of_the_protocol():
    rates = [0.05 * (1 + math.cos(math.pi * step / 10)) for step in range(5)]
    assert train((0.5, 0.25), keep="best") == (pytest.approx(-sum(rates)), 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"optimiser": "adamm"},
            "training.optimiser must be one of adadelta, adam, adamw, sgd; got 'adamm'",
        ),
        (
            {"schedule": "step"},
            "training.schedule must be one of constant, cosine, one_cycle; got 'step'",
        ),
        ({"betas": None}, "training.optimiser 'adam' needs betas; got None"),
        ({"momentum": 0.9}, "training.optimiser 'adam' has no momentum; got 0.9"),
        ({"betas": (0.5, 1.0)}, "less than 1"),
        ({"epochs": 0}, "greater than or equal to 1"),
        ({"lr": 0}, "greater than 0"),
        ({"batch_size": 1}, "greater than or equal to 2"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(ValidationError, match=message):
        config(**changes)
