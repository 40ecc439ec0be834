"""A table of one cell on random features, from its images to its scores."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from posinfo.experiment import Inputs, Result
from posinfo.experiments.posenet import evaluate, readouts
from posinfo.experiments.posenet.readouts import ReadoutsCell
from posinfo.networks.models.backbones import BackboneConfig
from posinfo.networks.readouts.config import ReadoutConfig
from posinfo.work import Work

IMAGES, SIDE, SIZE = 6, 8, 24
CHANNELS = [("f1", 2), ("f2", 3)]


@dataclass
class Small:
    """A cell, and the inputs of its two steps."""

    cell: ReadoutsCell
    train: Inputs
    test: Inputs

    def fit(self) -> Result:
        return readouts.run(self.cell, self.train, Work())

    def evaluate(self, **changes: Result) -> Result:
        inputs = {"readouts": self.fit(), **self.test, **changes}
        return evaluate.run(self.cell, inputs, Work())


@pytest.fixture
def small(protocol: ReadoutConfig):
    def features(count: int, seed: int) -> Result:
        values = np.random.default_rng(seed)
        shape = (count, SIDE, SIDE, 5)
        return Result(
            arrays={"features": values.random(shape, dtype=np.float32).astype(np.float16)},
            facts={"channels": CHANNELS},
        )

    def images(names: list[str]) -> Result:
        shape = (len(names), 3, SIZE, SIZE)
        values = np.random.default_rng(0)
        return Result(
            arrays={"pixels": values.integers(0, 256, shape, dtype=np.uint8)},
            rows=pd.DataFrame({"photograph": names}),
        )

    def make(
        heads=(("horizontal", 4), ("gaussian", 4), ("horizontal", 5), ("gaussian", 5)),
        blocks=(),
        held_out=None,
        **changes: object,
    ) -> Small:
        readout = protocol.model_copy(update=changes)
        cell = ReadoutsCell(
            heads=heads, blocks=blocks, stripes="unit", image_size=SIZE,
            held_out=held_out, fit=readout.settings, readout=readout, feature_size=SIDE,
            train_images=IMAGES,
            backbone=BackboneConfig(arch="vgg16", weights="untrained", padding="zero"),
        )  # fmt: skip
        train = {
            "features": features(IMAGES, 1),
            "images": images([str(i % 3) for i in range(IMAGES)]),
        }
        test = {
            "photos": features(3, 2),
            "synthetic": features(2, 3),
            "images": images(["a", "b", "c"]),
            "synthetic_images": images(["black", "noise"]),
        }
        if held_out is not None:
            test |= {"photos": train["features"], "images": train["images"]}
        return Small(cell, train, test)

    return make
