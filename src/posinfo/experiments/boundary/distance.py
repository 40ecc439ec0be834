"""Part 2: how far from the border a network still knows where it is (experiment 1, figure 4)."""

import numpy as np
import pandas as pd
import psutil
import torch
from rich.filesize import decimal

from posinfo.experiment import Cell, Inputs, Result
from posinfo.networks.models.place_classifiers import (
    PLACES,
    PlaceClassifier,
    PlaceConfig,
    build_place_classifier,
    needed_bytes,
)
from posinfo.networks.readouts.logistic import fit_logistic
from posinfo.networks.training.config import TrainingConfig
from posinfo.networks.training.places import (
    PIXELS_AT_ONCE,
    PlacedTiles,
    place_accuracy,
    place_features,
    train_places,
)
from posinfo.stimuli.quadrants import QuadrantConfig
from posinfo.work import Work

SPLITS = ("train", "validation", "test")
FROZEN, SCRATCH = "frozen", "scratch"


class DistanceCell(Cell):
    """A network and a border.

    Attributes:
        place: the network.
        weights: key of what the source of the weights holds.
        trained: ``scratch``: all of it; ``frozen``: a linear layer on its features.
        quadrants: the images.
        training: the protocol of ``scratch``.
        strengths: inverse penalties of the linear layer of ``frozen``.
        seed: of the linear layer and of the order of images.
    """

    place: PlaceConfig
    weights: str
    trained: str
    quadrants: QuadrantConfig
    training: TrainingConfig
    strengths: tuple[float, ...]
    seed: int

    def check(self) -> None:
        """Whether the network takes such images, and the memory of this host its maps.

        Raises:
            FileNotFoundError, ValueError: see ``AuditedConfig.check``; maps larger than the memory.
        """
        side, border = self.quadrants.side, self.quadrants.border
        self.place.network.check(side)
        scratch = self.trained == SCRATCH
        images = self.training.batch_size if scratch else max(1, PIXELS_AT_ONCE // side**2)
        needed = needed_bytes(self.place, side, images, trained=scratch)
        if needed > psutil.virtual_memory().total:
            raise ValueError(
                f"a border of {border} px makes images of {side} x {side} px, of which {images} at "
                f"once need {decimal(needed)} of memory, and there are "
                f"{decimal(psutil.virtual_memory().total)}: take a narrower border or network, or "
                "a smaller batch"
            )


def run(cell: DistanceCell, inputs: Inputs, work: Work) -> Result:
    """Accuracy on test photographs.

    Returns:
        One row ``accuracy, train_accuracy, validation_accuracy, seed, floor, n``; from scratch also
        the weights of the network and its history.
    """
    splits = {
        split: PlacedTiles(
            torch.from_numpy(np.array(inputs[split].arrays["pixels"])),
            cell.quadrants,
            cell.place.network.colours,
        )
        for split in SPLITS
    }
    network = build_place_classifier(cell.place, cell.quadrants.side, cell.seed, work.device)
    fitted = _train if cell.trained == SCRATCH else _read
    accuracies, result = fitted(network, splits, cell, work)
    row = {
        "accuracy": accuracies["test"],
        "train_accuracy": accuracies["train"],
        "validation_accuracy": accuracies["validation"],
        "seed": cell.seed,
        "floor": 1 / PLACES,
        "n": len(splits["test"]),
    }
    return Result(rows=pd.DataFrame([row]), tensors=result.tensors, history=result.history)


def _read(
    network: PlaceClassifier, splits: dict[str, PlacedTiles], cell: DistanceCell, work: Work
) -> tuple[dict[str, float], Result]:
    """A linear layer on features that are computed once."""
    work.on_total(sum(map(len, splits.values())))
    read = {split: place_features(network, tiles, work) for split, tiles in splits.items()}
    chosen = fit_logistic(read["train"], read["validation"], cell.strengths)
    return {s: chosen.accuracy_on(each) for s, each in read.items()}, Result()


def _train(
    network: PlaceClassifier, splits: dict[str, PlacedTiles], cell: DistanceCell, work: Work
) -> tuple[dict[str, float], Result]:
    """All weights; the epoch is chosen by the validation photographs."""
    fitted = train_places(network, splits, cell.training, seed=cell.seed, work=work)
    history = {
        "train_loss": fitted.losses.tolist(), "validation_accuracy": fitted.scores.tolist(),
    }  # fmt: skip
    unheard = Work(work.device)
    found = {split: place_accuracy(network, tiles, unheard) for split, tiles in splits.items()}
    return found, Result(tensors=network.state_dict(), history=history)
