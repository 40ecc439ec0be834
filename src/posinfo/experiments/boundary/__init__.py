"""How far the border reaches, and what it does (Kayhan and van Gemert, CVPR 2020; canvases)."""

from posinfo.experiment import Experiment, Step
from posinfo.experiments import images, labelled_images
from posinfo.experiments.augshift import evaluate as shifts
from posinfo.experiments.augshift import train as shift_train
from posinfo.experiments.boundary import (
    cells,
    distance,
    patch_location,
    reach,
    red_green,
    report,
    settings,
)
from posinfo.experiments.permutenet import evaluate as canvases
from posinfo.experiments.permutenet import train as canvas_train

BOUNDARY = Experiment(
    name="boundary",
    settings=settings.BoundarySettings,
    steps=(
        Step("tiles", "data_preparation", cells.tiles_cells, images.run, False),
        Step("pictures", "data_preparation", cells.pictures_cells, images.run, False),
        Step(
            "shift_images", "data_preparation", cells.shift_images_cells, labelled_images.run,
            False, shared_with="augshift/images",
        ),
        Step(
            "canvas_images", "data_preparation", cells.canvas_images_cells, labelled_images.run,
            False, shared_with="permutenet/images",
        ),
        Step(
            "shift_train", "modeling", cells.shift_train_cells, shift_train.run,
            shared_with="augshift/train",
        ),
        Step(
            "canvas_train", "modeling", cells.canvas_train_cells, canvas_train.run,
            shared_with="permutenet/train",
        ),
        Step("patch_location", "evaluation", cells.patch_cells, patch_location.run),
        Step("red_green", "evaluation", cells.red_green_cells, red_green.run),
        Step("distance", "evaluation", cells.distance_cells, distance.run),
        Step("reach", "evaluation", cells.reach_cells, reach.run),
        Step(
            "shifts", "evaluation", cells.shift_cells, shifts.run, shared_with="augshift/evaluate"
        ),
        Step(
            "canvases", "evaluation", cells.canvas_cells, canvases.run,
            shared_with="permutenet/evaluate",
        ),
    ),
    report=report.report,
    tables=report.TABLES,
    texts=("table",),
    figures=report.FIGURES,
    reported=(
        "shift_images", "patch_location", "red_green", "distance", "reach", "shifts", "canvases",
    ),
)  # fmt: skip
