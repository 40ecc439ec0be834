"""Step 2: a network is trained on tiles at random locations of a canvas."""

from posinfo.experiment import Cell, Inputs, Result
from posinfo.experiments.trained_network import trained_result
from posinfo.networks.models.pooled_classifiers import ClassifierConfig, build_classifier
from posinfo.networks.training.canvases import LabelledCanvases, train_on_canvases
from posinfo.networks.training.config import TrainingConfig
from posinfo.stimuli.canvases import CanvasConfig
from posinfo.work import Work


class NetworkCell(Cell):
    """A network, what it is shown, what it is asked and how it is trained.

    Attributes:
        classifier: the network.
        canvas: what it is shown.
        task: location (where the tile stands) or image (which class the tile is of).
        training: the protocol.
        seed: of weights, order and locations.
    """

    classifier: ClassifierConfig
    canvas: CanvasConfig
    task: str
    training: TrainingConfig
    seed: int

    def check(self) -> None:
        """See ``ClassifierConfig.check``."""
        self.classifier.check(self.canvas.side, "canvas (grid x location_size)")


def run(cell: NetworkCell, inputs: Inputs, work: Work) -> Result:
    """See ``trained_result``; a ``FloatingPointError`` if the training diverged."""
    images = inputs["images"]
    train, validation = (
        LabelledCanvases.of(images.tensors, split, cell.canvas, cell.task, work)
        for split in ("train", "validation")
    )
    network = build_classifier(cell.classifier, train.answers, cell.seed, cell.canvas.side)
    network.to(work.device)
    fitted = train_on_canvases(network, train, validation, cell.training, seed=cell.seed, work=work)
    return trained_result(network, fitted, images.tensors["mean"], images.tensors["std"])
