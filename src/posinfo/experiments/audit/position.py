"""How well position can be read from each map: the exact linear readout, beside a control map."""

import numpy as np
import pandas as pd
import torch

from posinfo.experiment import Inputs, Result
from posinfo.experiments.audit.cells import rows_of
from posinfo.experiments.audit.features import FeaturesCell
from posinfo.measures.scores import predict, score_images
from posinfo.networks.readouts.config import ReadoutConfig, RidgeConfig
from posinfo.networks.readouts.feature_array import FeatureArray
from posinfo.networks.readouts.ridge import fit_ridge
from posinfo.stimuli.patterns import make_pattern
from posinfo.work import Work

SEED = 0  # of the control map


class PositionCell(FeaturesCell):
    """A network and what is read from its maps.

    Attributes:
        patterns: keys of ``PATTERNS``.
        ridge: see ``RidgeConfig``.
    """

    patterns: tuple[str, ...]
    ridge: RidgeConfig


def run(cell: PositionCell, inputs: Inputs, work: Work) -> Result:
    """The correlation of what a readout of each layer says of test photographs with each pattern.

    Returns:
        Rows ``measure, where, photograph, value``: ``position.PATTERN``, of each layer ``where``,
        Spearman's correlation of each image; 0 where the readout is constant.
    """
    config = ReadoutConfig(
        head="ridge", kernel_size=1, layers=1, hidden_width=1, padding=0, loss="mse",
        steps=1, epochs=None, lr=1.0, momentum=0.0, weight_decay=0.0, batch_size=2,
        ridge=cell.ridge,
    )  # fmt: skip
    size = (cell.image_size, cell.image_size)
    targets = torch.stack([make_pattern(name, size, "unit", SEED) for name in cell.patterns])
    names = [inputs[f"{split}_images"].table.photograph.tolist() for split in ("train", "test")]
    train, test = inputs["train"], inputs["test"]
    channels = dict(train.facts["channels"])
    rows = []
    for layer in channels:
        fitted, measured = (
            FeatureArray(np.asarray(each.arrays["features"]), channels, (layer,))
            for each in (train, test)
        )
        readouts, _ = fit_ridge(fitted, targets, names[0], config, seed=SEED, work=work)
        readouts.to(work.device)
        spc, _ = score_images(predict(readouts, measured, work.device), targets)
        for pattern, values in zip(cell.patterns, spc.nan_to_num(0).T, strict=True):
            rows.append(rows_of(names[1], f"position.{pattern}", layer, values))
    return Result(rows=pd.concat(rows, ignore_index=True))
