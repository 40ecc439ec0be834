"""Trained networks as results, and the results of networks that differ in their seeds alone."""

from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn

from posinfo.experiment import Result
from posinfo.networks.models.trained_file import with_colours, without_colours
from posinfo.networks.training.loop import Fitted

LOSS, ACCURACY, MEAN_IOU = "train_loss", "validation_accuracy", "validation_miou"
BySeed = Mapping[str, list[Result]]
"""The results of each cell of a table, one per seed, by the cell's label."""


def trained_result(
    network: nn.Module,
    fitted: Fitted,
    mean: Float[Tensor, "3"],
    std: Float[Tensor, "3"],
    score: str = ACCURACY,
) -> Result:
    """The weights of a network, the colours of its images, and how its training went.

    Args:
        network: as it is kept.
        fitted: the course of its training.
        mean: of the colours that its images were normalised by, in [0, 1].
        std: their standard deviation.
        score: what the validation score is.
    """
    history = {LOSS: fitted.losses.tolist(), score: fitted.scores.tolist()}
    tensors = with_colours(network.state_dict(), mean, std)
    return Result(tensors=tensors, history=history, facts={"epoch": fitted.epoch})


def load_trained(network: nn.Module, trained: Result) -> None:
    """Give a network the weights of ``trained_result``."""
    network.load_state_dict(without_colours(trained.tensors))


def network_label(label: str, seed: int) -> str:
    """Of the network of a cell of the table and a seed."""
    return f"{label}-seed{seed}"


def by_seed(results: Mapping[str, Result], seeds: Mapping[str, Iterable[int]]) -> BySeed:
    """The results of each cell, from those by ``network_label`` and the seeds of each cell."""
    return {
        label: [results[network_label(label, seed)] for seed in of_cell]
        for label, of_cell in seeds.items()
    }


def learning_curves(
    cells: BySeed, score: str = ACCURACY
) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Train loss and validation score by epoch of each seed, by label of the cell."""
    return {
        label: [(np.array(s.history[LOSS]), np.array(s.history[score])) for s in seeds]
        for label, seeds in cells.items()
    }
