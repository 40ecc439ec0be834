"""GAPNet and PermuteNet (Islam et al., ICCV 2021, experiment 1), with controls."""

from posinfo.experiment import Experiment, Objectives, Step
from posinfo.experiments import labelled_images
from posinfo.experiments.permutenet import evaluate, report, settings, train

PERMUTENET = Experiment(
    name="permutenet",
    settings=settings.PermutenetSettings,
    steps=(
        Step("images", "data_preparation", settings.images_cells, labelled_images.run, False),
        Step("train", "modeling", settings.train_cells, train.run),
        Step("evaluate", "evaluation", settings.evaluate_cells, evaluate.run, True, report.map_of),
    ),
    report=report.report,
    figures=("canvases", "learning_curves", "accuracy_maps", "confusions"),
    objectives=Objectives(("accuracy",), "permutenet.split", "permutenet.seeds"),
)
