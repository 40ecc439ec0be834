"""Part 1: one convolution is asked in which corner a patch stands (figure 1)."""

import pandas as pd
import torch

from posinfo.experiment import Cell, Inputs, Result
from posinfo.networks.models.stacked_convnets import ConvNetConfig, StackedConvNets
from posinfo.networks.training.config import TrainingConfig
from posinfo.networks.training.stacked import predict_stacked, train_stacked
from posinfo.stimuli.corner_patches import corner_patches
from posinfo.work import Work


class PatchCell(Cell):
    """Classifiers of several seeds, trained on the two images and asked about them.

    Attributes:
        network: of each.
        training: the protocol.
        seeds: of the weights.
    """

    network: ConvNetConfig
    training: TrainingConfig
    seeds: tuple[int, ...]


def run(cell: PatchCell, inputs: Inputs, work: Work) -> Result:
    """Whether the corners are told apart.

    Returns:
        A row per seed ``seed, accuracy, identical, floor, n``: ``identical`` is 1 where the
        features of both images are the same to the bit, so that no classifier can do better than
        chance, else 0. The loss by epoch is the mean over seeds.
    """
    labelled = corner_patches()
    networks = StackedConvNets(cell.network, 1, len(labelled[1]), cell.seeds).to(work.device)
    history = train_stacked(networks, labelled, labelled, cell.training, work)
    images, labels = labelled
    (first, second), logits = predict_stacked(networks, images, work)
    right = logits.argmax(2) == labels[:, None]
    rows = {
        "seed": cell.seeds,
        "accuracy": right.double().mean(0).tolist(),
        "identical": (first == second).all(1).double().tolist(),
        "floor": 1 / len(labels),
        "n": len(labels),
    }
    return Result(rows=pd.DataFrame(rows), history=mean_history(history))


def mean_history(history: dict[str, torch.Tensor]) -> dict[str, list[float]]:
    """Each quantity by epoch, averaged over classifiers."""
    return {name: values.mean(1).tolist() for name, values in history.items()}
