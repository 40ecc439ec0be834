"""Do segmentation networks need the channels that encode position? (Islam et al., ICCV 2021)."""

from posinfo.experiment import Experiment, Step
from posinfo.experiments.channel_attack import attack, channels, report, scenes, settings, train

CHANNEL_ATTACK = Experiment(
    name="channel_attack",
    settings=settings.ChannelAttackSettings,
    steps=(
        Step("scenes", "data_preparation", settings.scenes_cells, scenes.run, False),
        Step("train", "modeling", settings.train_cells, train.run),
        Step("channels", "modeling", settings.channels_cells, channels.run),
        Step("attack", "evaluation", settings.attack_cells, attack.run, True, report.curves_of),
    ),
    report=report.report,
    tables=("scores", "channel_ranking", "table", "contrasts", "networks", "class_iou"),
    texts=("table",),
    figures=("curves", "bands", "channels", "predictions"),
    reported=("scenes", "channels", "attack"),
)
