"""What does a network know about position, what does its padding cost, how do its tiles fit?

Any network of images, on one page with numbers; the instruments are those of the other experiments,
and of Alsallakh et al. (ICLR 2021) and arXiv 2206.01202.
"""

from posinfo.experiment import Experiment, Step
from posinfo.experiments import images
from posinfo.experiments.audit import (
    answers,
    context,
    features,
    judge,
    position,
    report,
    settings,
    structure,
    tiles,
)

AUDIT = Experiment(
    name="audit",
    settings=settings.AuditSettings,
    steps=(
        Step("images", "data_preparation", settings.images_cells, images.run, False),
        Step("structure", "modeling", settings.structure_cells, structure.run, False),
        Step("features", "modeling", settings.features_cells, features.run),
        Step("position", "modeling", settings.position_cells, position.run),
        Step("context", "modeling", settings.context_cells, context.run),
        Step("tiles", "modeling", settings.tiles_cells, tiles.run),
        Step("answers", "modeling", settings.answers_cells, answers.run),
        Step("judge", "evaluation", settings.judge_cells, judge.run, False),
    ),
    report=report.report,
    reported=report.STEPS,
    tables=("scores", "comparisons"),
    texts=("verdict",),
    folders=("pages",),
)
