"""How much position information do CNNs encode? (Islam, Jia and Bruce, ICLR 2020).

Table 1, and the ablations, which are the same experiment with more cells.
"""

from dataclasses import replace

from posinfo.experiment import Experiment, Objectives, Step
from posinfo.experiments import images
from posinfo.experiments.posenet import evaluate, features, readouts, report, settings

MEASURED = ("spc", "mae", "skill")

POSENET = Experiment(
    name="posenet",
    settings=settings.PosenetSettings,
    steps=(
        Step("images", "data_preparation", settings.images_cells, images.run, False),
        Step("features", "modeling", settings.features_cells, features.run),
        Step("readouts", "modeling", settings.readouts_cells, readouts.run),
        Step("evaluate", "evaluation", settings.evaluate_cells, evaluate.run, True, report.map_of),
    ),
    report=report.report_table1,
    reported=("images", "evaluate"),
    tables=("scores", "table1", "comparisons"),
    texts=("table1", "comparisons"),
    figures=("masks", "photos", "predicted_maps"),
    objectives=Objectives(MEASURED, "posenet.split", "posenet.seeds"),
)

POSENET_ABLATIONS = replace(
    POSENET,
    name="posenet_ablations",
    family="posenet",
    settings=settings.AblationSettings,
    report=report.report_ablations,
    reported=("evaluate",),
    tables=("scores", "tables"),
    texts=("tables",),
    figures=("figure5", "figure6", "figure7"),
    objectives=Objectives(MEASURED, "posenet.split", "posenet_ablations.seeds"),
)
