import pandas as pd
import pytest
import torch

from posinfo.experiment import Result
from posinfo.experiments.permutenet import train
from posinfo.experiments.permutenet.evaluate import EvaluateCell, run
from posinfo.experiments.trained_network import load_trained
from posinfo.networks.models.pooled_classifiers import build_classifier
from posinfo.stimuli.canvases import CanvasConfig
from posinfo.work import Work
from tests.experiments.permutenet.test_train import labelled_images, network_cell


def evaluate_cell(split="test", **changes):
    return EvaluateCell(**dict(network_cell(**changes)), split=split)


@pytest.fixture(scope="module")
def trained():
    return train.run(network_cell(), {"images": labelled_images()}, Work())


@pytest.fixture(scope="module")
def evaluated(trained):
    return run(evaluate_cell(), {"images": labelled_images(), "network": trained}, Work())


def test_answers_are_those_of_every_test_image_at_every_location(trained, evaluated):
    """Canvases are pasted here pixel by pixel, before they are normalised."""
    images, counts = labelled_images().tensors, torch.zeros(4, 5, 5, dtype=torch.long)
    network = build_classifier(network_cell().classifier, 5, 0, 32)
    load_trained(network, trained)
    mean, std = (images[name][:, None, None] for name in ("mean", "std"))
    for pixels, label in zip(images["test.pixels"], images["test.labels"], strict=True):
        for location in range(4):
            row, column = 16 * (location // 2), 16 * (location % 2)
            canvas = torch.zeros(3, 32, 32)
            canvas[:, row : row + 16, column : column + 16] = pixels.float() / 255
            with torch.no_grad():
                answer = network.eval()(((canvas - mean) / std)[None]).argmax()
            counts[location, label, answer] += 1
    assert torch.equal(evaluated.tensors["counts"], counts)


def test_row_counts_right_answers(evaluated):
    row, counts = evaluated.table.iloc[0], evaluated.tensors["counts"]
    assert list(evaluated.table.columns) == ["accuracy", "seed", "floor", "n"]
    assert (row.seed, row.floor, row.n) == (3, 0.2, 15 * 4)
    right = counts.diagonal(dim1=1, dim2=2).sum().item()
    assert 10 < right < 60
    assert row.accuracy == pytest.approx(right / 60)


def test_validation_images_are_measured_where_they_are_asked_for(trained):
    images = labelled_images().tensors
    swapped = dict(images)
    for part in ("pixels", "labels"):
        swapped[f"validation.{part}"] = images[f"test.{part}"]
        swapped[f"test.{part}"] = images[f"validation.{part}"]
    inputs = {"images": Result(tensors=images), "network": trained}
    on_validation = run(evaluate_cell("validation"), inputs, Work())
    on_test = run(evaluate_cell(), {**inputs, "images": Result(tensors=swapped)}, Work())
    assert on_validation.table.n.item() == 10 * 4
    pd.testing.assert_frame_equal(on_validation.table, on_test.table)
    for name, tensor in on_test.tensors.items():
        assert torch.equal(on_validation.tensors[name], tensor), name


def test_floor_of_locations_is_one_of_their_number(trained):
    changes = {
        "task": "location",
        "canvas": CanvasConfig(grid=3, location_size=16, colour="black"),
    }
    images = labelled_images()
    network = train.run(network_cell(**changes), {"images": images}, Work())
    result = run(evaluate_cell(**changes), {"images": images, "network": network}, Work())
    assert result.table.floor.item() == pytest.approx(1 / 9)
    assert result.tensors["counts"].shape == (9, 9, 9)


def test_shown_canvases_have_the_tiles_own_colours(evaluated):
    tiles, shown = labelled_images().tensors["train.pixels"], evaluated.tensors["shown"]
    assert shown.shape == (6, 3, 32, 32)
    for index, canvas in enumerate(shown):
        location = index % 4
        row, column = 16 * (location // 2), 16 * (location % 2)
        tile = canvas[:, row : row + 16, column : column + 16].clone()
        assert torch.equal(tile, tiles[index])
        canvas[:, row : row + 16, column : column + 16] = 0
        assert canvas.max() == 0


def test_learning_curve_goes_on_to_the_report(trained, evaluated):
    assert evaluated.history == trained.history
