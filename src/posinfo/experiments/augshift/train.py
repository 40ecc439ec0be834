"""Step 2: a network is trained on random crops."""

from posinfo.experiment import Cell, Inputs, Result
from posinfo.experiments.trained_network import trained_result
from posinfo.networks.models.augshift import AugShiftConfig, build_latent_classifier
from posinfo.networks.training.augshift import train_augshift
from posinfo.networks.training.config import TrainingConfig
from posinfo.stimuli.crops import UNSHIFTED, Crops, ShiftConfig
from posinfo.work import Work


class NetworkCell(Cell):
    """A network and how it is trained.

    Attributes:
        method: how it is built, and what its loss is.
        classes: number of logits.
        augmentation: shifts of the random crops.
        training: the protocol.
        seed: of weights, order and crops.
    """

    method: AugShiftConfig
    classes: int
    augmentation: ShiftConfig
    training: TrainingConfig
    seed: int


def run(cell: NetworkCell, inputs: Inputs, work: Work) -> Result:
    """See ``trained_result``; a ``FloatingPointError`` if the training diverged."""
    images = inputs["images"]
    train = Crops.of(images.tensors, "train", cell.augmentation, work)
    validation = Crops.of(images.tensors, "validation", UNSHIFTED, work)
    network = build_latent_classifier(cell.method, cell.classes, cell.seed).to(work.device)
    fitted = train_augshift(
        network, train, validation, cell.method, cell.training, seed=cell.seed, work=work
    )
    return trained_result(network, fitted, images.tensors["mean"], images.tensors["std"])
