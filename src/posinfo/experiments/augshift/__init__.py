"""AugShift and shift consistency (Islam et al., ICCV 2021, experiment 2)."""

from posinfo.experiment import Experiment, Objectives, Step
from posinfo.experiments import labelled_images
from posinfo.experiments.augshift import evaluate, report, settings, train

AUGSHIFT = Experiment(
    name="augshift",
    settings=settings.AugShiftSettings,
    steps=(
        Step("images", "data_preparation", settings.images_cells, labelled_images.run, False),
        Step("train", "modeling", settings.train_cells, train.run),
        Step("evaluate", "evaluation", settings.evaluate_cells, evaluate.run, True, report.map_of),
    ),
    report=report.report,
    tables=("scores", "table", "comparisons"),
    texts=("table", "comparisons"),
    figures=("learning_curves", "trade_off", "agreement"),
    objectives=Objectives(
        metrics=(
            "top1", "consistency_sampled", "consistency_exact", "consistency_right",
            "diagonal_accuracy", "worst_case_accuracy",
        ),
        split="augshift.split",
        seeds="augshift.seeds",
    ),
)  # fmt: skip
