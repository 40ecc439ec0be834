"""The experiments, a folder each: settings, steps and report. Plain PyTorch, no Kedro."""

from posinfo.experiments.audit import AUDIT
from posinfo.experiments.augshift import AUGSHIFT
from posinfo.experiments.boundary import BOUNDARY
from posinfo.experiments.channel_attack import CHANNEL_ATTACK
from posinfo.experiments.consistency import CONSISTENCY
from posinfo.experiments.permutenet import PERMUTENET
from posinfo.experiments.posenet import POSENET, POSENET_ABLATIONS

EXPERIMENTS = {
    each.name: each
    for each in (
        POSENET,
        POSENET_ABLATIONS,
        PERMUTENET,
        AUGSHIFT,
        CONSISTENCY,
        CHANNEL_ATTACK,
        AUDIT,
        BOUNDARY,
    )
}
