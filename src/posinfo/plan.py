"""Which results an experiment needs, and the key of each, before anything is computed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import BaseModel

from posinfo.choices import pick
from posinfo.code_key import code_key
from posinfo.experiment import Cell, Experiment, Step


@dataclass(frozen=True)
class Planned:
    """A cell that has a result, or will have one.

    Attributes:
        step: that computes it.
        label: of the cell among those of its step.
        cell: its settings.
        inputs: keys of the results it needs, by role.
        identity: all that its result depends on, as JSON values.
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
        experiment: whose steps they are.
        settings: of its own class.
        device: that will compute.
        dtype: of forward passes.

    Raises:
        FileNotFoundError, ValueError: settings that do not fit together, or a cell that names an
            input that there is not.
    """
    planned: Plan = {}
    for step in experiment.steps:
        precision = numerics(device, dtype) if step.numeric else {}
        folder = f"{experiment.family or experiment.name}/{step.name}"
        cells = {}
        for label, cell in step.cells(settings).items():
            inputs = {role: _input(planned, name).key for role, name in cell.inputs.items()}
            identity = {
                "settings": cell.model_dump(mode="json"),
                "inputs": inputs,
                "code": code_key([step.run.__module__, *cell.modules]),
                **precision,
            }
            cells[label] = Planned(step, label, cell, inputs, identity, folder)
        planned[step.name] = cells
    return planned


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
    """What decides the last bits of a result, besides the number of threads."""
    return {
        "device": device.type,
        "dtype": str(dtype).removeprefix("torch."),
        "torch": torch.__version__,
    }


def _input(planned: Plan, name: str) -> Planned:
    there = {
        f"{step}/{label}": cell for step, cells in planned.items() for label, cell in cells.items()
    }
    return pick("input (step/label)", name, there)
