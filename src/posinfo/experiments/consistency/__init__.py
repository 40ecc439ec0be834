"""Does a whole classifier give a shifted photograph the same class? (Zhang, ICML 2019)."""

from posinfo.experiment import Experiment, Step
from posinfo.experiments import images
from posinfo.experiments.consistency import classify, report, settings

CONSISTENCY = Experiment(
    name="consistency",
    settings=settings.ConsistencySettings,
    steps=(
        Step("images", "data_preparation", settings.images_cells, images.run, False),
        Step("classify", "evaluation", settings.classify_cells, classify.run, True, report.map_of),
    ),
    report=report.report,
    tables=("scores", "comparisons"),
    texts=("table",),
    figures=("agreement",),
)
