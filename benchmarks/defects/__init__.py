"""The defects by subject."""

from defects import (
    attack,
    audit,
    boundary,
    data,
    devices,
    experiments,
    measures,
    networks,
    sweeps,
    training,
    trust,
)  # fmt: skip
from defects.defect import Defect

SUBJECTS: dict[str, list[Defect]] = {
    "training": training.DEFECTS,
    "networks": networks.DEFECTS,
    "data": data.DEFECTS,
    "measures": measures.DEFECTS,
    "experiments": experiments.DEFECTS,
    "trust": trust.DEFECTS,
    "attack": attack.DEFECTS,
    "audit": audit.DEFECTS,
    "boundary": boundary.DEFECTS,
    "devices": devices.DEFECTS,
    "sweeps": sweeps.DEFECTS,
}
