"""What a user may get wrong: a clear message, a failing exit code, and no work done before."""

from dataclasses import replace

import pytest

from posinfo.experiments import AUDIT, AUGSHIFT, BOUNDARY, EXPERIMENTS, PERMUTENET, POSENET
from posinfo.pipelines.requests import Request
from posinfo.work import Work
from tests.experiments.conftest import changed
from tests.integration.conftest import merged

MINE = {"audit__only": ["mine"]}


def request(experiment, tmp_path, **changes):
    """What a run of Kedro asks for with ``--env=test`` and these parameters, as its hook does."""
    parameters = changed(merged("test"), **changes)
    made = Request.of(experiment, {**parameters, "store": str(tmp_path)})
    for cells in made.plan.values():
        for cell in cells.values():
            cell.cell.check()
    return made


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ("posenet.backbones.vgg16.arch=vvgg16", "got 'vvgg16' (did you mean 'vgg16'?)"),
        ("posnet.image_size=200", "parameter must be one of"),
    ],
)
def test_bad_parameter_stops_the_run(project, parameter, message):
    assert message in project.failed(f"--params={parameter}")
    assert not list(project.data.glob("store/*"))
    assert not list(project.data.glob("08_reporting/*/*"))


def test_cell_that_cannot_be_stops_the_run_before_mlflow_hears_of_it(project):
    said = project.failed("--params=posenet.readout.batch_size=50")
    assert "posenet: posenet: 12 train images are fewer than readout.batch_size 50" in said
    assert project.mlflow_runs() == []
    assert not list(project.data.glob("store/*"))


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=lambda experiment: experiment.name)
def test_settings_of_the_tests_are_no_bad_input(experiment, tmp_path):
    assert list(request(experiment, tmp_path).plan) == [step.name for step in experiment.steps]


@pytest.mark.parametrize(
    ("experiment", "changes", "message"),
    [
        (
            POSENET,
            {"posenet__backbones__vgg16__weights": "nothing.pth"},
            "weights: there is no file nothing.pth",
        ),
        (POSENET, {"posenet__image_size": 100_000}, "less than or equal to 4096"),
        (POSENET, {"photos__seed": True}, "seed\n  Input should be a valid integer"),
        (POSENET, {"posenet__seeds": [2**64]}, "seeds.0\n  Input should be less than 4294967296"),
        (
            POSENET,
            {"posenet__seeds": [-1]},
            "seeds.0\n  Input should be greater",
        ),
        (POSENET, {"posenet__readout__lr": float("inf")}, "lr\n  Input should be a finite number"),
        (
            POSENET,
            {
                "posenet__backbones": {
                    "a" * 300: {"arch": "image", "weights": "none", "padding": "zero"}
                }
            },
            "String should have at most 100 characters",
        ),
        (POSENET, {"posenet__readout__kernels": 3}, "setting must be one of"),
        (
            POSENET,
            {"photos__train_dir": "/nowhere/at/all"},
            "photos.train_dir: there is no folder /nowhere/at/all",
        ),
        (
            POSENET,
            {"posenet__split": "validation", "photos__train_crops": 1},
            "posenet.split validation: to hold whole photographs out, there must be two or more",
        ),
        (POSENET, {"device": "gpu"}, "device must be one of auto, cpu, cuda, mps; got 'gpu'"),
        (POSENET, {"precision": "half"}, "precision must be one of auto, bfloat16, float32"),
        (POSENET, {"parallel__n_jobs": 0}, "n_jobs\n  Input should be greater than or equal to 1"),
        (
            POSENET,
            {"posenet__feature_size": 500},
            "feature_size 500 must be at most image_size 216",
        ),
        (POSENET, {"posenet__patterns": ["gausian"]}, "got 'gausian' (did you mean 'gaussian'?)"),
        (
            PERMUTENET,
            {"permutenet__shared__padding": "none"},
            "the smallest canvas (grid x location_size) is",
        ),
        (AUGSHIFT, {"augshift__latent_weight": -1}, "greater than or equal to 0"),
        (
            BOUNDARY,
            {"boundary__distance__borders": [0, 300_000], "boundary__only": ["distance"]},
            "a border of 300000 px makes",
        ),
        (
            BOUNDARY,
            {"boundary__canvases__shared__location_size": 16},
            "do not fit a canvas location of 16 px",
        ),
        (
            BOUNDARY,
            {"boundary__red_green__paddings": ["same"]},
            "padding must be one of zero, none, reflect",
        ),
        (
            AUDIT,
            {"audit__networks": {"mine": {"arch": "mine:build", "weights": "as-built"}}, **MINE},
            "arch 'mine:build' cannot be imported",
        ),
        (
            AUDIT,
            {"audit__networks": {"mine": {"arch": "resnet18", "weights": "none.pth"}}, **MINE},
            "weights: there is no file none.pth",
        ),
        (AUDIT, {"audit__fail_if": ["speed<1"]}, "fail_if must be one of"),
        (AUDIT, {"audit__baseline": "none.json"}, "there is no file none.json"),
        (AUDIT, {"photos__test_dir": "nowhere"}, "there is no folder nowhere"),
    ],
)
def test_bad_settings_are_refused_before_any_work(experiment, changes, message, tmp_path):
    with pytest.raises((ValueError, FileNotFoundError)) as raised:
        request(experiment, tmp_path, **changes)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("experiment", "step", "changes", "message"),
    [
        (
            PERMUTENET, "train", {"permutenet__shared__location_size": 16},
            "tiles of 32 x 32 px do not fit a canvas location of 16 px",
        ),
        (
            PERMUTENET, "images", {"permutenet__dataset__name": "cifar10"},
            "CIFAR-10 is not in",
        ),
        (
            AUGSHIFT, "train", {"augshift__training__batch_size": 99},
            "60 train images are fewer than a batch of 99",
        ),
    ],
)  # fmt: skip
def test_bad_settings_that_only_images_show_are_refused_by_the_step(
    experiment, step, changes, message, tmp_path
):
    plan = request(experiment, tmp_path, **changes).plan
    (images, *_) = plan["images"].values()
    with pytest.raises((ValueError, FileNotFoundError)) as raised:
        results = {"images": images.step.run(images.cell, {}, Work())}
        cell = next(iter(plan[step].values()))
        cell.step.run(cell.cell, results, Work())
    assert message in str(raised.value)


def test_too_few_photographs_for_three_splits_are_refused(tmp_path, save_photo):
    train, test = (str(save_photo(f"{name}/a.jpg").parent) for name in ("train", "test"))
    folders = {"photos__train_dir": train, "photos__test_dir": test}
    with pytest.raises(ValueError, match="1 train photograph cannot be split"):
        request(BOUNDARY, tmp_path, boundary__only=["distance"], **folders)


def test_damaged_photograph_is_named_before_any_feature(tmp_path, save_photo, work):
    for index in range(8):
        folder = save_photo(f"{index}.jpg").parent
    (folder / "broken.png").write_bytes(b"not a picture")
    images = request(POSENET, tmp_path, photos__train_dir=str(folder)).plan["images"]["train"]
    with pytest.raises(ValueError, match=r"^1 damaged images(?s:.*)broken\.png"):
        images.step.run(images.cell, {}, replace(work))


@pytest.mark.parametrize(
    ("experiment", "step", "needed"),
    [
        (POSENET, "readouts", "features"),
        (PERMUTENET, "evaluate", "images"),
        (AUGSHIFT, "train", "images"),
    ],
)
def test_a_stage_before_those_it_needs_names_what_is_missing(experiment, step, needed, tmp_path):
    made = request(experiment, tmp_path)
    stage = next(each.stage for each in experiment.steps if each.name == needed)
    message = "were never made with these settings: run the stage"
    with pytest.raises(ValueError, match=f"^the results of {needed} of '.*' {message} `{stage}`"):
        made.require_inputs(list(made.plan[step].values()), {})
