import numpy as np
import pandas as pd
import pytest
import torch

from posinfo.experiment import Result
from posinfo.experiments.boundary.reach import ReachCell, run
from posinfo.measures.true_context import context_errors, reach_of_error
from posinfo.networks.models.normalisation import normalise
from posinfo.networks.models.place_classifiers import build_place_classifier
from posinfo.work import Work
from tests.networks.models.test_place_classifiers import config

SIDE, CROP = 192, 64


@pytest.fixture(scope="module")
def pictures():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 3, SIDE, SIDE), dtype=np.uint8)
    return Result(arrays={"pixels": pixels}, rows=pd.DataFrame({"photograph": list("abc")}))


def reach_cell(arch="bagnet33(width=4)", tolerance=1e-4, **network):
    place = config(arch, **network)
    return ReachCell(place=place, weights="untrained", crop=CROP, tolerance=tolerance, seed=2)


def test_a_network_without_padding_is_right_everywhere(pictures):
    result = run(reach_cell(), {"pictures": pictures}, Work())
    assert result.table.error_distance.tolist() == [0, 0, 0]
    assert (result.table.field == 33).all() and result.facts["stride"] == 8
    assert result.table.photograph.tolist() == ["a", "b", "c"] and (result.table.seed == 2).all()


def test_padding_is_felt_near_the_border(pictures):
    rows = run(reach_cell("cifar_resnet18(width=4)"), {"pictures": pictures}, Work()).table
    assert (rows.error_distance >= 8).all() and (rows.field > 33).all()


def test_distances_are_in_pixels(pictures):
    cell = reach_cell("cifar_resnet18(width=4)", tolerance=0.5)
    result = run(cell, {"pictures": pictures}, Work())
    rings = [reach_of_error(each.numpy(), 0.5) for each in result.tensors["rings"]]
    assert any(rings) and None not in rings
    stride = result.facts["stride"]
    assert stride > 1
    assert result.table.error_distance.tolist() == [stride * distance for distance in rings]


def test_what_a_network_cannot_reach_is_left_out_and_changes_nothing():
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, 256, 256), dtype=np.uint8)
    pictures = Result(arrays={"pixels": pixels}, rows=pd.DataFrame({"photograph": ["a"]}))
    cell = reach_cell("cifar_resnet18(width=4)")
    result = run(cell, {"pictures": pictures}, Work())
    assert result.facts["context"] < 96 and result.facts["crop"] == CROP
    network = build_place_classifier(cell.place, CROP, cell.seed, torch.device("cpu")).eval()
    images = normalise(torch.from_numpy(pixels), "imagenet", cell.place.network.colours)
    stride = {result.facts["name"]: result.facts["stride"]}
    (expected,) = context_errors(network.observed, images, 96, stride).values()
    torch.testing.assert_close(result.tensors["rings"], expected.rings)


def test_a_trained_network_is_asked_with_its_weights(pictures):
    arch = "cifar_resnet18(width=4)"
    cell = reach_cell(arch)
    trained = build_place_classifier(cell.place, CROP, 9)
    with torch.no_grad():
        for each in trained.parameters():
            each.mul_(0)
    inputs = {"pictures": pictures, "network": Result(tensors=trained.state_dict())}
    assert run(cell, inputs, Work()).tensors["rings"].eq(0).all()
