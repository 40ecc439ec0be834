import re

import pytest
from pydantic import ValidationError

from posinfo.experiments import PERMUTENET
from posinfo.experiments.permutenet.settings import PermutenetSettings
from tests.experiments.conftest import base, changed, check, keys, planned

BASE = base("permutenet")
SHARED = BASE["permutenet"]["shared"]


def sections(*cells, **changes):
    changes |= {"cells": list(cells)} if cells else {}
    return changed(BASE, **{f"permutenet__{name}": value for name, value in changes.items()})


def resolved(*cells, **changes):
    return PermutenetSettings.model_validate(sections(*cells, **changes)).cells


def cell(**changes):
    return {"network": "permutenet", "permutation": "per_batch", "task": "location", **changes}


def test_default_cells():
    assert list(resolved()) == [
        "gapnet-none-location-3x3", "gapnet-none-image-3x3",
        "permutenet-per_batch-location-3x3", "permutenet-per_batch-image-3x3",
    ]  # fmt: skip
    check(PERMUTENET, BASE)


def test_cells_change_shared_settings_and_their_labels():
    cells = resolved(
        cell(padding="circular", training={"lr": 0.01}), cell(grid=5, canvas=[255, 0, 0]),
        cell(arch="torchvision.models:resnet18", width=None),
        cell(arch="timm/resnet18", width=None),
    )  # fmt: skip
    assert list(cells) == [
        "permutenet-per_batch-location-3x3-padding-circular-lr-0.01",
        "permutenet-per_batch-location-5x5-canvas-255+0+0",
        "permutenet-per_batch-location-3x3-arch-torchvision.models.resnet18-width-None",
        "permutenet-per_batch-location-3x3-arch-timm.resnet18-width-None",
    ]
    first, second, *_ = cells.values()
    assert (first.padding, first.training.lr, first.training.epochs) == (
        "circular", 0.01, SHARED["training"]["epochs"],
    )  # fmt: skip
    assert second.canvas_config.side == 160


def test_only():
    assert len(resolved(only=["gapnet"])) == len(resolved(only=["location"])) == 2
    assert list(resolved(only=["permutenet-per_batch-image-3x3"])) == [
        "permutenet-per_batch-image-3x3"
    ]
    with pytest.raises(ValueError, match="^permutenet.only must be one of .*; got 'gapnett'"):
        resolved(only=["gapnett"])


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (cell(grid=0), "grid: Input should be greater than or equal to 2"),
        (cell(cell_sise=3), "permutenet.cells: setting must be one of network, permutation, task"),
        (cell(training={"epoch": 3}), ": training: setting must be one of epochs, batch_size"),
        (cell(training=3), "training must be a mapping of settings; got 3"),
        (cell(task="place"), "task must be one of location, image; got 'place'"),
        (cell(network="gapnet"), "gapnet has no channels to permute after pooling"),
        (cell(padding="wrap"), "padding must be one of as_built, zero, none, reflect"),
        (
            cell(canvas="blak"),
            "canvas colour must be one of black, white, mean, released; got 'blak'",
        ),
        (cell(canvas=[0, 0, 300]), "less than or equal to 255"),
    ],
)
def test_bad_cells(item, message):
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        resolved(item)
    assert str(raised.value).startswith("permutenet.cells: ")


def test_equal_cells():
    label = "permutenet-per_batch-location-3x3"
    with pytest.raises(ValueError, match=f"^permutenet.cells: {label} stands there twice$"):
        resolved(cell(), cell())
    with pytest.raises(ValueError, match=f"{label}-padding-zero is the same as {label}$"):
        resolved(cell(), cell(padding="zero"))


def test_answers_know_what_they_depend_on():
    label = "gapnet-none-location-3x3-seed0"
    before = keys(PERMUTENET, sections(seeds=[0, 1]), "evaluate")
    assert len(set(before.values())) == len(before) == 8
    for change in (
        {"dataset__seed": 1}, {"shared__training__epochs": 3}, {"shared__width": 8},
        {"shared__canvas": "white"}, {"shared__padding": "reflect"},
    ):  # fmt: skip
        assert keys(PERMUTENET, sections(**change), "evaluate")[label] not in before.values()


def test_another_split_trains_nothing_again():
    validation = sections(split="validation")
    for step in ("images", "train"):
        assert keys(PERMUTENET, validation, step) == keys(PERMUTENET, BASE, step)
    before, after = (keys(PERMUTENET, each, "evaluate") for each in (BASE, validation))
    assert list(before) == list(after) and not set(before.values()) & set(after.values())
    for cell in planned(PERMUTENET, validation)["evaluate"].values():
        assert cell.cell.split == "validation"


def test_where_images_lie_and_which_cells_there_are_changes_no_answer():
    before = keys(PERMUTENET, BASE, "evaluate")
    elsewhere = sections(dataset__folder="x", dataset__download=True, seeds=[3, 0])
    fewer = sections(only=["gapnet"])
    for other in (elsewhere, fewer):
        found = keys(PERMUTENET, other, "evaluate")
        common = found.keys() & before.keys()
        assert common and all(found[label] == before[label] for label in common)


def test_networks_are_trained_per_seed_and_evaluated_with_their_images():
    cells = planned(PERMUTENET, sections(seeds=[0, 7], only=["image"]))
    assert list(cells["train"]) == list(cells["evaluate"]) == [
        "gapnet-none-image-3x3-seed0", "gapnet-none-image-3x3-seed7",
        "permutenet-per_batch-image-3x3-seed0", "permutenet-per_batch-image-3x3-seed7",
    ]  # fmt: skip
    for label, evaluated in cells["evaluate"].items():
        images = cells["images"]["digits"].key
        assert evaluated.inputs == {"images": images, "network": cells["train"][label].key}
        assert cells["train"][label].cell.seed == int(label[-1])


def test_networks_depend_on_the_code_of_ones_own_backbone():
    arch = "tests.networks.models.test_architectures:own_network"
    own = cell(network="gapnet", permutation="none", arch=arch, width=None)
    plan = planned(PERMUTENET, sections(own))
    packages = ("tests", "tests.networks", "tests.networks.models")
    modules = (*packages, "tests.networks.models.test_architectures")
    for step in ("train", "evaluate"):
        assert {each.cell.modules for each in plan[step].values()} == {modules}


def test_cell_that_cannot_be_run_is_refused_before_any_work():
    message = (
        r"^images of 96 px are too small .* the smallest canvas \(grid x location_size\) is 235 px$"
    )
    with pytest.raises(ValueError, match=message):
        check(PERMUTENET, sections(cell(padding="none")))


def test_unknown_keys_and_repeated_seeds():
    with pytest.raises(ValidationError, match="setting must be one of"):
        resolved(grid=3)
    with pytest.raises(ValidationError, match="Input should be 'test' or 'validation'"):
        resolved(split="train")
    with pytest.raises(ValidationError, match="repeated: 0"):
        resolved(seeds=[0, 0])
