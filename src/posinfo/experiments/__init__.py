"""The experiments, a folder each: settings, steps and report. Plain PyTorch, no Kedro."""

from posinfo.experiments.augshift import AUGSHIFT
from posinfo.experiments.consistency import CONSISTENCY
from posinfo.experiments.permutenet import PERMUTENET
from posinfo.experiments.posenet import POSENET, POSENET_ABLATIONS

ALL = (POSENET, POSENET_ABLATIONS, PERMUTENET, AUGSHIFT, CONSISTENCY)
EXPERIMENTS = {experiment.name: experiment for experiment in ALL}
