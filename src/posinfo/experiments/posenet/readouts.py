"""Step 3: a readout of position for each pattern and seed, trained on frozen features."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from posinfo.experiment import Cell, Inputs, Result
from posinfo.networks.models.backbones import BackboneConfig
from posinfo.networks.readouts.checks import check_readouts
from posinfo.networks.readouts.config import ReadoutConfig
from posinfo.networks.readouts.convolutional import initial_seed, train_readouts
from posinfo.networks.readouts.feature_array import FeatureArray
from posinfo.networks.readouts.held_out import hold_out
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
        held_out: share of the train photographs that are measured, whole ones, and that nothing is
            trained on; None: all train images are trained on, and all test images measured.
        fit: the settings that the head and its fit depend on.
        readout: the head and its fit.
        feature_size: side in pixels of the features.
        backbone: whose features are read.
        train_images: how many of them are trained on.
    """

    heads: tuple[tuple[str, int], ...]
    blocks: tuple[str, ...]
    stripes: str
    image_size: int
    held_out: float | None
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
    fitted, targets = chosen_images(inputs["images"], cell, held_out=False), targets_of(cell)
    features = open_blocks(inputs["features"], cell, fitted)
    config, seeds = cell.readout, [initial_seed(*head) for head in cell.heads]
    if config.head == "ridge":
        of_images, seed = photographs_of(inputs["images"], fitted), cell.heads[0][1]
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


def chosen_images(images: Result, cell: ReadoutsCell, *, held_out: bool) -> Int[np.ndarray, " m"]:
    """Indices of the photographs' images that are measured, or of those that are trained on.

    Args:
        images: the train images, or the test images where the cell holds no train ones out.
        cell: says which are held out.
        held_out: whether those are asked for that are measured.
    """
    photographs = images.table.photograph.tolist()
    if cell.held_out is None:
        return np.arange(len(photographs))
    measured = hold_out(photographs, cell.held_out).numpy()
    return np.flatnonzero(measured if held_out else ~measured)


def photographs_of(images: Result, chosen: Int[np.ndarray, " m"]) -> list[str]:
    """The photograph that each of the chosen images shows."""
    return images.table.photograph.iloc[chosen].tolist()


def open_blocks(
    features: Result, cell: ReadoutsCell, images: Int[np.ndarray, " m"] | None = None
) -> FeatureArray:
    """The blocks that a cell reads, of features on disk; of the chosen images, or of all."""
    channels = dict(features.facts["channels"])
    return FeatureArray(features.arrays["features"], channels, cell.blocks, images)
