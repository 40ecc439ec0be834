"""Which results an experiment needs, and the key of each, before anything is computed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from socket import gethostname
from typing import Any

import torch
from pydantic import BaseModel

from posinfo.choices import pick
from posinfo.code_key import code_key
from posinfo.experiment import Cell, Experiment, Step

# What draws, decodes, splits, builds and computes: a result is another with another version.
PACKAGES = ("numpy", "pillow", "scikit-image", "scikit-learn", "timm", "torch", "torchvision")


@dataclass(frozen=True)
class Planned:
    """A cell that has a result, or will have one.

    Attributes:
        step: the step whose ``run`` computes it.
        label: the cell's name among those of its step.
        cell: settings and names of inputs.
        inputs: for each role, the store's key of the result that is needed.
        identity: all that its result depends on, as JSON values.
        folder: the part of the key that comes before the hash: ``posenet/features``.
    """

    step: Step
    label: str
    cell: Cell
    inputs: Mapping[str, str]
    identity: Mapping[str, Any]
    folder: str

    @property
    def key(self) -> str:
        """Of its result in the store: the folder of its step, and a hash of its identity."""
        return f"{self.folder}/{digest(self.identity)}"


Plan = dict[str, dict[str, Planned]]
"""By step and label, in order."""


def plan(
    experiment: Experiment, settings: BaseModel, device: torch.device, dtype: torch.dtype
) -> Plan:
    """Every cell of every step.

    Args:
        experiment: the steps.
        settings: an instance of ``experiment.settings``.
        device: the device on which numeric steps will compute.
        dtype: float32 or bfloat16, the precision of their forward passes.

    Raises:
        FileNotFoundError, ValueError: settings that do not fit together, or a cell that names an
            input that there is not.
    """
    planned: Plan = {}
    by_name: dict[str, Planned] = {}
    for step in experiment.steps:
        precision = numerics(device, dtype) if step.numeric else {}
        folder = step.shared_with or f"{experiment.family or experiment.name}/{step.name}"
        cells = {}
        for label, cell in step.cells(settings).items():
            inputs = {
                role: pick("input (step/label)", name, by_name).key
                for role, name in cell.inputs.items()
            }
            identity = {
                "settings": cell.model_dump(mode="json"),
                "inputs": inputs,
                **_computed_by(step, cell),
                **precision,
            }
            cells[label] = Planned(step, label, cell, inputs, identity, folder)
        planned[step.name] = cells
        by_name |= {f"{step.name}/{label}": cell for label, cell in cells.items()}
    return planned


def require_same_code(planned: Planned) -> None:
    """Refuse to compute a cell by other code than it was planned with.

    Raises:
        RuntimeError: this process has other code or packages than the one that made the plan.
    """
    here = _computed_by(planned.step, planned.cell)
    other = differences({name: planned.identity[name] for name in here}, here)
    if other:
        raise RuntimeError(
            f"this worker on {gethostname()} has other code than the run that gives it work "
            f"({', '.join(other)}): update what is installed there, or start the run again"
        )


def digest(identity: Mapping[str, Any]) -> str:
    """A short name of JSON values: 16 hexadecimal digits."""
    text = json.dumps(identity, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Dotted names of the values that differ."""
    first, second = flatten(one), flatten(other)
    names = sorted(first.keys() | second.keys())
    return [name for name in names if first.get(name) != second.get(name)]


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings, mappings or models, as dotted names."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        if isinstance(plain, Mapping):
            flat |= flatten(plain, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = plain
    return flat


def numerics(device: torch.device, dtype: torch.dtype) -> dict[str, str]:
    """What decides the last bits of a result, besides packages and the number of threads."""
    return {"device": device.type, "dtype": str(dtype).removeprefix("torch.")}


def _computed_by(step: Step, cell: Cell) -> dict[str, Any]:
    """What a result depends on besides settings, inputs and precision."""
    return {"code": code_key([step.run.__module__, *cell.modules]), "packages": _versions()}


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES}
