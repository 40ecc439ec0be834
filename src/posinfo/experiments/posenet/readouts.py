"""Step 3: a readout of position for each pattern and seed, trained on frozen features."""

from typing import Any

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from posinfo.experiment import Cell, Inputs, Result
from posinfo.networks.models.backbones import BackboneConfig
from posinfo.networks.readouts.checks import check_readouts
from posinfo.networks.readouts.config import ReadoutConfig
from posinfo.networks.readouts.convolutional import initial_seed, train_readouts
from posinfo.networks.readouts.feature_array import FeatureArray
from posinfo.networks.readouts.ridge import fit_ridge
from posinfo.stimuli.patterns import make_pattern
from posinfo.work import Work


class ReadoutsCell(Cell):
    """Readouts that are trained together, since they read the same features.

    Attributes:
        heads: pattern and seed of each.
        blocks: names of the blocks that are read; empty: all.
        stripes: range of the striped patterns, a key of ``STRIPES``.
        image_size: side in pixels of the ground truth.
        fit: the settings that the head and its fit depend on.
        readout: the head and its fit.
        feature_size: side in pixels of the features.
        backbone: whose features are read.
        train_images: how many there are.
    """

    heads: tuple[tuple[str, int], ...]
    blocks: tuple[str, ...]
    stripes: str
    image_size: int
    fit: dict[str, Any]
    readout: ReadoutConfig = Field(exclude=True)
    feature_size: int = Field(exclude=True)
    backbone: BackboneConfig = Field(exclude=True)
    train_images: int = Field(exclude=True)

    def check(self) -> None:
        """See ``check_readouts``."""
        check_readouts(
            self.readout,
            self.backbone.block_channels(self.image_size),
            self.blocks,
            feature_size=self.feature_size,
            images=self.train_images,
            seeds=list(dict.fromkeys(seed for _, seed in self.heads)),
        )


def run(cell: ReadoutsCell, inputs: Inputs, work: Work) -> Result:
    """The weights of all readouts, and each one's loss per epoch or error per penalty."""
    features, targets = open_blocks(inputs["features"], cell), targets_of(cell)
    config, seeds = cell.readout, [initial_seed(*head) for head in cell.heads]
    if config.head == "ridge":
        of_images, seed = inputs["images"].table.photograph.tolist(), cell.heads[0][1]
        readouts, history = fit_ridge(features, targets, of_images, config, seed=seed, work=work)
    else:
        readouts, history = train_readouts(features, targets, seeds, config, work)
    measured = "held_out_mse" if config.head == "ridge" else "loss"
    names = [f"{measured}_{pattern}_seed_{seed}" for pattern, seed in cell.heads]
    curves = dict(zip(names, history.T.tolist(), strict=True))
    return Result(tensors=readouts.state_dict(), history=curves)


def targets_of(cell: ReadoutsCell) -> Float[Tensor, "k h w"]:
    """The ground truth of each head; a control is drawn anew for each seed."""
    size = (cell.image_size, cell.image_size)
    return torch.stack([make_pattern(name, size, cell.stripes, seed) for name, seed in cell.heads])


def open_blocks(features: Result, cell: ReadoutsCell) -> FeatureArray:
    """The blocks that a cell reads, of features on disk."""
    channels = dict(features.facts["channels"])
    return FeatureArray(features.arrays["features"], channels, cell.blocks)
