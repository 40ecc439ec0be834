import pytest
from pydantic import ValidationError

from posinfo.experiments import AUGSHIFT, BOUNDARY, PERMUTENET
from posinfo.experiments.boundary.cells import shift_images_cells
from posinfo.experiments.boundary.settings import PARTS, BoundarySettings
from tests.experiments.conftest import base, changed, check, keys, planned

SECTIONS = base("photos", "boundary")


def settings(**changes):
    return BoundarySettings.model_validate(changed(SECTIONS, **changes))


def test_default_rows():
    resolved = settings()
    counts = {part: len(resolved.of(part)) for part in PARTS}
    assert counts == {
        "patch_location": 7, "distance": 6, "red_green": 7, "shifts": 4, "canvases": 22,
        "data_efficiency": 8,
    }  # fmt: skip
    assert all(label.startswith(row.part) for label, row in resolved.cells.items())


@pytest.mark.parametrize("part", PARTS)
def test_each_part_runs_alone(part):
    plan = planned(BOUNDARY, changed(SECTIONS, boundary__only=[part]))
    steps = {name for name, cells in plan.items() if cells}
    assert (
        steps
        == {
            "patch_location": {"patch_location"},
            "distance": {"tiles", "pictures", "distance", "reach"},
            "red_green": {"red_green"},
            "shifts": {"shift_images", "shift_train", "shifts"},
            "canvases": {"canvas_images", "canvas_train", "canvases"},
            "data_efficiency": {"shift_images", "shift_train", "shifts"},
        }[part]
    )


def test_a_row_runs_alone():
    plan = planned(BOUNDARY, changed(SECTIONS, boundary__only=["distance-resnet18"]))
    assert set(plan["reach"]) == {"resnet18-seed0", "resnet18-seed1", "resnet18-seed2"}
    assert len(plan["distance"]) == 4 * 3


def test_each_size_of_data_efficiency_has_its_own_images():
    resolved = settings()
    limits = {name: cell.dataset.train_limit for name, cell in shift_images_cells(resolved).items()}
    assert limits == {"all": 1600, "800": 800, "320": 320, "160": 160}


def test_networks_of_shifts_and_canvases_are_those_of_augshift_and_permutenet():
    """The same settings have the same key, so that neither trains what the other has."""
    shifts = SECTIONS["boundary"]["shifts"]
    other = changed(
        base("augshift"), augshift__training=shifts["training"], augshift__seeds=[0],
        augshift__dataset=shifts["dataset"], augshift__latent_weight=0,
        augshift__width=shifts["width"],
        augshift__methods=[{"method": "fconv"}], augshift__shifts=shifts["shifts"],
    )  # fmt: skip
    for mine, theirs in (("shift_train", "train"), ("shifts", "evaluate")):
        ours = keys(BOUNDARY, SECTIONS, mine)["fconv-all-seed0"]
        assert ours == keys(AUGSHIFT, other, theirs)["fconv-seed0"]
    canvases = SECTIONS["boundary"]["canvases"]
    other = changed(
        base("permutenet"), permutenet__dataset=canvases["dataset"], permutenet__seeds=[0],
        permutenet__shared={**canvases["shared"], "padding": "reflect"},
        permutenet__cells=[{"network": "permutenet", "permutation": "none", "task": "image"}],
    )  # fmt: skip
    label = "permutenet-none-image-3x3"
    ours = keys(BOUNDARY, SECTIONS, "canvas_train")[f"{label}-padding-reflect-seed0"]
    assert ours == keys(PERMUTENET, other, "train")[f"{label}-seed0"]


def test_a_row_of_all_images_is_trained_once_for_both_parts():
    both = keys(BOUNDARY, SECTIONS, "shift_train")
    assert sum(label.startswith("baseline-all") for label in both) == 5
    assert len(set(both.values())) == len(both) == 4 * 3 + 2 * 2 + 2 * 3 * 5


def test_reach_of_a_trained_network_needs_that_of_the_narrowest_border():
    plan = planned(BOUNDARY, SECTIONS)
    trained, frozen = (plan["reach"][f"{name}-seed0"] for name in ("resnet18", "resnet18_random"))
    nearest = plan["distance"]["resnet18-0px-seed0"]
    assert trained.inputs["network"] == nearest.key and "network" not in frozen.inputs


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boundary__only": ["distnce"]}, "boundary.only must be one of patch_location"),
        ({"boundary__red_green__paddings": ["same"]}, "padding must be one of zero"),
        ({"boundary__distance__border": "white"}, "boundary.distance.border must be one of"),
        (
            {"boundary__distance__networks__resnet18__weights": "imagenet"},
            "trained from scratch, weights are untrained; got 'imagenet'",
        ),
        ({"boundary__distance__crop": 880}, "crop must leave 32 px on each side"),
        ({"boundary__canvases__shared__grid": 1}, "grid"),
        ({"boundary__canvases__shared__grid": 17}, "grid"),
        ({"boundary__red_green__training__mirrored": True}, "mirrored and compile must be false"),
        ({"boundary__distance__networks__resnet18__seed": 3}, "a row has `seeds`"),
        (
            {"boundary__shifts__efficiency": [{"images": 8, "epochs": n} for n in (4, 9)]},
            "each number of images may stand once",
        ),
        (
            {"boundary__shifts__efficiency": [{"images": 1600, "epochs": 4}]},
            "images must be fewer than 1600, all; got 1600",
        ),
        ({"boundary__shifts__training__epochs": 3}, "trained on for training.epochs 3"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises((ValidationError, ValueError)) as error:
        _ = settings(**changes).cells
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"padding": "reflect", "arch": "vit_b_16", "width": None, "grid": 7}], "no padded layer"),
        ([{"padding": "none"}], "too small"),
    ],
)
def test_a_padding_that_a_network_cannot_take_is_refused_before_training(rows, message):
    sections = changed(SECTIONS, boundary__canvases__rows=rows, boundary__only=["canvases"])
    with pytest.raises(ValueError, match=message):
        check(BOUNDARY, sections)
