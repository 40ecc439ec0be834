import numpy as np
import pandas as pd
import psutil
import pytest
import torch

from posinfo.experiment import Result
from posinfo.experiments.boundary.distance import DistanceCell, run
from posinfo.networks.models.place_classifiers import build_place_classifier
from posinfo.networks.training.places import PlacedTiles, place_accuracy, place_features
from posinfo.stimuli.quadrants import TILE, QuadrantConfig
from posinfo.work import Work
from tests.networks.models.test_place_classifiers import config
from tests.networks.training.test_stacked import training

COUNTS = {"train": 12, "validation": 6, "test": 8}


def tiles():
    values = np.random.default_rng(0)
    return {
        split: Result(
            arrays={"pixels": values.integers(0, 256, (count, 3, TILE, TILE), dtype=np.uint8)},
            rows=pd.DataFrame({"photograph": [f"{split}{i}" for i in range(count)]}),
        )
        for split, count in COUNTS.items()
    }


def distance_cell(border=0, trained="frozen", arch="bagnet33(width=4)", kind="black", **changes):
    quadrants = QuadrantConfig(canvas=120, border=border, kind=kind)
    protocol = training(epochs=2, batch_size=8, optimiser="sgd", lr=0.01, momentum=0.9, **changes)
    return DistanceCell(
        place=config(arch, first_padding=quadrants.first_padding), weights="untrained",
        trained=trained, quadrants=quadrants, training=protocol, strengths=(0.01, 1.0), seed=1,
    )  # fmt: skip


def test_a_frozen_network_knows_its_place_at_the_border_and_not_beyond_its_field():
    rows = [run(distance_cell(border), tiles(), Work()).table.iloc[0] for border in (0, 40)]
    assert rows[0].accuracy > 0.9 and rows[1].accuracy == 0.5
    assert rows[0].n == 2 * COUNTS["test"] and rows[0].floor == 0.5 and rows[0].seed == 1


def test_beyond_the_field_both_places_have_the_same_features():
    cell = distance_cell(40)
    network = build_place_classifier(cell.place, cell.quadrants.side, 0)
    shown = PlacedTiles(torch.from_numpy(tiles()["test"].arrays["pixels"]), cell.quadrants, None)
    features, _ = place_features(network, shown, Work())
    np.testing.assert_allclose(features[::2], features[1::2], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["black", "released"])
def test_a_network_is_trained_on_train_tiles_and_chosen_on_validation_ones(kind):
    cell = distance_cell(4, "scratch", "narrow_resnet18(width=4)", kind)
    inputs, told = tiles(), []
    result = run(cell, inputs, Work(on_total=told.append))
    assert told == [2 * (2 * COUNTS["train"] // 8)]
    assert {name: len(values) for name, values in result.history.items()} == {
        "train_loss": 2, "validation_accuracy": 2,
    }  # fmt: skip
    row = result.table.iloc[0]
    assert row.validation_accuracy == max(result.history["validation_accuracy"])
    network = build_place_classifier(cell.place, cell.quadrants.side, 0)
    network.load_state_dict(dict(result.tensors))
    pixels = torch.from_numpy(inputs["test"].arrays["pixels"])
    shown = PlacedTiles(pixels, cell.quadrants, None)
    assert place_accuracy(network, shown, Work()) == row.accuracy
    # other test tiles change nothing of the training
    swapped = {**inputs, "test": inputs["train"]}
    again = run(cell, swapped, Work())
    assert all(torch.equal(again.tensors[n], each) for n, each in result.tensors.items())


def test_maps_larger_than_the_memory_are_refused_with_the_size(monkeypatch):
    monkeypatch.setattr(
        psutil, "virtual_memory", lambda: type("Memory", (), {"total": 100_000_000})
    )
    distance_cell(0, "scratch").check()
    with pytest.raises(ValueError) as error:
        distance_cell(400, "scratch").check()
    assert "a border of 400 px makes images of 920 x 920 px, of which 8 at once need" in str(
        error.value
    )
    assert "there are 100.0 MB: take a narrower border" in str(error.value)


def test_a_network_that_a_padding_does_not_suit_is_refused():
    cell = distance_cell(0)
    audited = cell.place.network.model_copy(update={"padding": "reflect"})
    place = cell.place.model_copy(update={"network": audited})
    with pytest.raises(ValueError, match="this network has no padded layer"):
        cell.model_copy(update={"place": place}).check()
