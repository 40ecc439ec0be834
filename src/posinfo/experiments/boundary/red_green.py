"""Part 3: the order of two squares is the class, their height a hint (experiment 2, table 1)."""

import pandas as pd
from pydantic import Field, model_validator
from torch import Tensor

from posinfo.choices import Section
from posinfo.experiment import Cell, Inputs, Result
from posinfo.experiments.boundary.patch_location import mean_history
from posinfo.networks.models.stacked_convnets import ConvNetConfig, StackedConvNets
from posinfo.networks.training.config import TrainingConfig
from posinfo.networks.training.stacked import predict_stacked, train_stacked
from posinfo.stimuli.red_green import DIFFERENT, red_green
from posinfo.work import Work

CHANNELS, CLASSES = 3, 2


class RedGreenImages(Section):
    """How many images each split has, even numbers; twins of test images are as many again."""

    train: int = Field(ge=2, multiple_of=2)
    validation: int = Field(ge=2, multiple_of=2)
    test: int = Field(ge=2, multiple_of=2)

    @model_validator(mode="after")
    def _are_as_many_as_there_are(self) -> "RedGreenImages":
        asked = self.train + self.validation + self.test
        if asked > DIFFERENT:
            raise ValueError(f"there are {DIFFERENT} different images; got {asked} in all splits")
        return self


class RedGreenCell(Cell):
    """Classifiers of several seeds.

    Attributes:
        network: of each.
        training: the protocol.
        images: how many there are.
        seeds: of the weights.
    """

    network: ConvNetConfig
    training: TrainingConfig
    images: RedGreenImages
    seeds: tuple[int, ...]


def run(cell: RedGreenCell, inputs: Inputs, work: Work) -> Result:
    """Accuracy at the heights of the train images, and at those of the other class.

    Returns:
        A row per seed ``seed, similar, dissimilar, identical, floor, n``: two accuracies in [0, 1],
        and the share of test images whose features are those of their twin to the bit. The losses
        by epoch are means over seeds.
    """
    splits = red_green(cell.images.model_dump())
    train, validation = (
        (splits[name].similar, splits[name].classes) for name in ("train", "validation")
    )
    networks = StackedConvNets(cell.network, CHANNELS, CLASSES, cell.seeds).to(work.device)
    history = train_stacked(networks, train, validation, cell.training, work)
    *twins, labels = splits["test"]
    features, logits = zip(*(predict_stacked(networks, each, work) for each in twins), strict=True)
    rows = {
        "seed": cell.seeds,
        "similar": _right(logits[0], labels),
        "dissimilar": _right(logits[1], labels),
        "identical": (features[0] == features[1]).all(2).double().mean(0).tolist(),
        "floor": 1 / CLASSES,
        "n": len(labels),
    }
    return Result(rows=pd.DataFrame(rows), history=mean_history(history))


def _right(logits: Tensor, labels: Tensor) -> list[float]:
    """Accuracy of each classifier."""
    return (logits.argmax(2) == labels[:, None]).double().mean(0).tolist()
