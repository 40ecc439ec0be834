import copy
import re

import pytest
import yaml
from pydantic import ValidationError

from posinfo.pipelines.permutenet.parameters import PermutenetParameters, check_parameters
from tests.conftest import PROJECT

BASE = yaml.safe_load((PROJECT / "conf/base/parameters_permutenet.yml").read_text())["permutenet"]


def parameters(*cells, **changes):
    settings = copy.deepcopy(BASE) | changes
    if cells:
        settings["cells"] = list(cells)
    return PermutenetParameters.model_validate(settings)


def cell(**changes):
    return {"network": "permutenet", "permutation": "per_batch", "task": "location", **changes}


def test_default_cells():
    assert list(parameters().resolve()) == [
        "gapnet-none-location-3x3", "gapnet-none-image-3x3",
        "permutenet-per_batch-location-3x3", "permutenet-per_batch-image-3x3",
    ]  # fmt: skip


def test_cells_change_shared_settings_and_their_labels():
    resolved = parameters(
        cell(padding="circular", training={"lr": 0.01}), cell(grid=5, canvas=[255, 0, 0]),
        cell(arch="torchvision.models:resnet18", width=None),
    ).resolve()  # fmt: skip
    assert list(resolved) == [
        "permutenet-per_batch-location-3x3-padding-circular-lr-0.01",
        "permutenet-per_batch-location-5x5-canvas-255+0+0",
        "permutenet-per_batch-location-3x3-arch-torchvision.models.resnet18-width-None",
    ]
    first, second, _ = resolved.values()
    assert (first.padding, first.training.lr, first.training.epochs) == (
        "circular", 0.01, BASE["shared"]["training"]["epochs"],
    )  # fmt: skip
    assert second.canvas_config.side == 160


def test_only():
    assert len(parameters(only=["gapnet"]).resolve()) == 2
    assert list(parameters(only=["permutenet-per_batch-image-3x3"]).resolve()) == [
        "permutenet-per_batch-image-3x3"
    ]
    with pytest.raises(ValueError, match="^permutenet.only must be one of .*; got 'gapnett'"):
        parameters(only=["gapnett"]).resolve()


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (cell(grid=0), "grid\n  Input should be greater than or equal to 2"),
        (cell(cell_sise=3), "permutenet.cells: setting must be one of network, permutation, task"),
        (cell(training={"epoch": 3}), "training.epoch\n  Extra inputs are not permitted"),
        (cell(training=3), "training must be a mapping of settings; got 3"),
        (cell(task="place"), "task must be one of location, image; got 'place'"),
        (cell(network="gapnet"), "gapnet has no channels to permute after pooling"),
        (cell(padding="wrap"), "padding must be one of zero, none, reflect"),
        (
            cell(canvas="blak"),
            "canvas colour must be one of black, white, mean, released; got 'blak'",
        ),
        (cell(canvas=[0, 0, 300]), "less than or equal to 255"),
    ],
)
def test_bad_cells(item, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parameters(item).resolve()


def test_equal_cells():
    with pytest.raises(ValueError, match="^permutenet.cells: permutenet-per_batch-location-3x3"):
        parameters(cell(), cell()).resolve()
    with pytest.raises(ValueError, match="-padding-zero stands there twice$"):
        parameters(cell(), cell(padding="zero")).resolve()


def test_answers_know_what_they_depend_on():
    base = parameters()
    (label, first), (_, second), *_ = base.resolve().items()
    keys = {
        base.answers_key(first, 0), base.answers_key(first, 1), base.answers_key(second, 0),
        parameters(dataset=BASE["dataset"] | {"seed": 1}).answers_key(first, 0),
    }  # fmt: skip
    assert len(keys) == 4
    elsewhere = parameters(dataset=BASE["dataset"] | {"folder": "x", "download": True})
    assert elsewhere.answers_key(elsewhere.resolve()[label], 0) in keys


def test_cell_that_cannot_be_run_is_refused_before_any_work():
    settings = copy.deepcopy(BASE) | {"cells": [cell(padding="none")]}
    message = (
        r"^permutenet.cells: permutenet-per_batch-location-3x3-padding-none: images of 96 px are "
        r"too small .* the smallest canvas \(grid x cell_size\) is 219 px$"
    )
    with pytest.raises(ValueError, match=message):
        check_parameters({"permutenet": settings})


def test_unknown_keys_and_repeated_seeds():
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        parameters(grid=3)
    with pytest.raises(ValidationError, match="repeated: 0"):
        parameters(seeds=[0, 0])
