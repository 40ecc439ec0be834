"""The defects by subject."""

from defects import attack, data, experiments, measures, networks, sweeps, training, trust
from defects.defect import Defect

SUBJECTS: dict[str, list[Defect]] = {
    "training": training.DEFECTS,
    "networks": networks.DEFECTS,
    "data": data.DEFECTS,
    "measures": measures.DEFECTS,
    "experiments": experiments.DEFECTS,
    "trust": trust.DEFECTS,
    "attack": attack.DEFECTS,
    "sweeps": sweeps.DEFECTS,
}
