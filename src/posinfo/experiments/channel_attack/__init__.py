"""Do segmentation networks need the channels that encode position? (Islam et al., ICCV 2021)."""

from posinfo.experiment import Experiment, Step
from posinfo.experiments import images
from posinfo.experiments.channel_attack import (
    attack,
    cells,
    channels,
    classifier_report,
    classifiers,
    report,
    scenes,
    settings,
    train,
)

CHANNEL_ATTACK = Experiment(
    name="channel_attack",
    settings=settings.ChannelAttackSettings,
    steps=(
        Step("scenes", "data_preparation", cells.scenes_cells, scenes.run, False),
        Step("train", "modeling", cells.train_cells, train.run),
        Step("channels", "modeling", cells.channels_cells, channels.run),
        Step("attack", "evaluation", cells.attack_cells, attack.run, True, report.curves_of),
        Step("images", "data_preparation", cells.images_cells, images.run, False),
        Step("rank", "modeling", cells.rank_cells, classifiers.rank),
        Step(
            "classify", "evaluation", cells.classify_cells, classifiers.attack, True,
            classifier_report.classifier_curves,
        ),
    ),
    report=report.report,
    tables=(
        "scores", "channel_ranking", "table", "contrasts", "networks", "class_iou", "border",
        "classifiers", "classifier_table",
    ),
    texts=("table", "classifier_table"),
    figures=("curves", "bands", "channels", "predictions", "classifiers"),
    reported=("scenes", "channels", "attack", "classify"),
)  # fmt: skip
