"""The instrument finds a planted effect, and nothing where there is none."""

import numpy as np
import pandas as pd
import torch
from torch import nn

from posinfo.experiment import Result
from posinfo.experiments.consistency.classify import ClassifyCell, run
from posinfo.networks.models.whole_network import WholeNetworkConfig
from posinfo.work import Work


class Where(nn.Module):
    """Planted: the class is the column of the brightest pixel."""

    def forward(self, images):
        return images.sum(1).amax(1)


class Height(nn.Module):
    """The class is the row of the brightest pixel."""

    def forward(self, images):
        return images.sum(1).amax(2)


class What(nn.Module):
    """The class is whether anything is bright, wherever it is."""

    def forward(self, images):
        brightest = images.flatten(1).amax(1, keepdim=True)
        return torch.cat([brightest, -brightest], 1)


def classified(name, pixels, photographs, offsets=(0, 1, 2)):
    config = WholeNetworkConfig(arch=f"{__name__}:{name}", weights="as-built", padding="as_built")
    side = pixels.shape[2] - max(offsets)
    cell = ClassifyCell(classifier=config, weights="", image_size=side, offsets=offsets)
    rows = pd.DataFrame({"photograph": photographs})
    return run(cell, {"images": Result(arrays={"pixels": pixels}, rows=rows)}, Work())


def spots(*columns):
    pixels = np.zeros((len(columns), 3, 10, 10), dtype=np.uint8)
    for image, column in zip(pixels, columns, strict=True):
        image[:, 4, column] = 255
    return pixels


def test_class_that_follows_the_position_is_found():
    """Three columns are three classes: two offsets agree one time in three."""
    table = classified("Where", spots(4, 5), ["a", "b"]).table
    assert table.photograph.tolist() == ["a", "b"]
    np.testing.assert_allclose(table.consistency_exact, 1 / 3)
    assert table.unanimous.tolist() == [0, 0]
    assert table.classes.tolist() == [3, 3]


def test_rows_and_columns_both_count():
    table = classified("Height", spots(4, 5), ["a", "b"]).table
    np.testing.assert_allclose(table.consistency_exact, 1 / 3)
    assert table.unanimous.tolist() == [0, 0]


def test_class_that_does_not_follow_the_position_is_consistent():
    result = classified("What", spots(4, 5), ["a", "b"])
    assert result.table.consistency_exact.tolist() == [1, 1]
    assert result.table.unanimous.tolist() == [1, 1]
    assert torch.equal(result.tensors["agreement"], torch.ones(3, 3, dtype=torch.float64))


def test_crops_of_a_photograph_are_averaged():
    pixels = np.concatenate([spots(4, 5), np.zeros((1, 3, 10, 10), np.uint8)])
    table = classified("Where", pixels, ["a", "b", "a"]).table
    first = table.set_index("photograph").loc["a"]
    assert first.consistency_exact == (1 / 3 + 1) / 2
    assert first.unanimous == 0.5 and first.n == 2 and first.classes == 4


def test_answers_are_kept():
    answers = classified("Where", spots(4), ["a"]).tensors["answers"]
    assert answers.tolist() == [[[4, 3, 2]] * 3]
