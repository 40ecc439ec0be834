"""An experiment of no weight, whose best setting is known: ``tiny.x`` = 1."""

import os
import signal
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from posinfo.choices import Section
from posinfo.experiment import Cell, Experiment, Objectives, Report, Result, Step
from posinfo.pipelines.sweep_settings import Sweep, SweepParameters

SEARCH = {
    "space": {"tiny.x": {"type": "float", "low": 0.0, "high": 4.0}},
    "objectives": [{"metric": "error", "direction": "minimize"}],
    "n_trials": 6,
    "seeds_per_trial": 2,
    "sampler": {"name": "RandomSampler"},
    "pruner": None,
}


class TinyParameters(Section):
    x: float = Field(ge=0, le=4)
    shape: Literal["square", "absolute", "failing", "killed_once"]
    width: int
    training: dict[str, float]
    epochs: int
    split: Literal["validation", "test"]
    seeds: tuple[int, ...]


class TinySettings(Section):
    tiny: TinyParameters


class TrainCell(Cell):
    x: float
    shape: str
    epochs: int
    seed: int


class EvaluateCell(TrainCell):
    split: str


def train_cells(settings):
    tiny = settings.tiny
    return {
        f"seed{seed}": TrainCell(x=tiny.x, shape=tiny.shape, epochs=tiny.epochs, seed=seed)
        for seed in tiny.seeds
    }


def evaluate_cells(settings):
    return {
        label: EvaluateCell(**dict(cell), split=settings.tiny.split).needing(
            network=f"train/{label}"
        )
        for label, cell in train_cells(settings).items()
    }


def train(cell, inputs, work):
    if cell.shape == "failing" and cell.x > 2:
        raise FloatingPointError("the loss is infinite: lower x")
    if cell.shape == "killed_once" and not os.path.exists("killed"):
        open("killed", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    error = abs(cell.x - 1) if cell.shape == "absolute" else (cell.x - 1) ** 2
    for epoch in range(1, cell.epochs + 1):
        work.on_epoch(epoch, error, -error)
    history = {"loss": [error] * cell.epochs}
    return Result(facts={"error": error}, history=history)


def evaluate(cell, inputs, work):
    error = inputs["network"].facts["error"] + 0.25 * cell.seed
    rows = [
        {"range": name, "error": error + more, "size": cell.x, "seed": cell.seed}
        for name, more in (("near", 0.0), ("far", 2.0))
    ]
    if cell.split == "test":
        rows = [{**row, "error": row["error"] + 100} for row in rows]
    frame = pd.DataFrame(rows)
    if cell.shape == "absolute" and cell.x > 3.9:
        frame["error"] = np.nan
    return Result(rows=frame, history=inputs["network"].history)


TINY = Experiment(
    name="tiny",
    settings=TinySettings,
    steps=(
        Step("train", "modeling", train_cells, train),
        Step("evaluate", "evaluation", evaluate_cells, evaluate),
    ),
    report=lambda *_: Report({}, {}, {}),
    objectives=Objectives(metrics=("error", "size"), split="tiny.split", seeds="tiny.seeds"),
)


def parameters(folder, **parallel):
    """The configuration of the experiment, whose results and trials lie in a folder."""
    tiny = {
        "x": 3.0, "shape": "square", "width": 8, "training": {"lr": 0.1}, "epochs": 3,
        "split": "test", "seeds": [0, 1, 2],
    }  # fmt: skip
    return {
        "tiny": tiny,
        "device": "cpu",
        "precision": "float32",
        "parallel": {"n_jobs": 1, "threads_per_job": 1, **parallel},
        "store": str(folder / "store"),
    }


def sweep_of(folder, search=None, parallel=None, **settings):
    """A sweep of it, with changes of its search and of the section `sweep`."""
    asked = SweepParameters.model_validate(
        {
            "experiment": "tiny",
            "study": None,
            "storage": f"sqlite:///{folder}/optuna.db",
            "n_trials": None,
            "timeout": None,
            "seed": 0,
            "heartbeat": 60,
            "searches": {"tiny": {**SEARCH, **(search or {})}},
            **settings,
        }
    )
    return Sweep.of(asked, parameters(folder, **(parallel or {})))
