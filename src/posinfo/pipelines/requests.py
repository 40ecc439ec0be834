"""An experiment with the parameters of a run, and whether what it needs is there."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from posinfo.experiment import Experiment
from posinfo.networks.training.devices import Device, Machine, Parallel, Precision
from posinfo.pipelines.workers import require_processes
from posinfo.plan import Plan, Planned, differences, plan
from posinfo.store import Store

SHARED = {"device": Device, "precision": Precision, "parallel": Parallel, "store": str}
_PLANS: dict[str, Plan] = {}


@dataclass(frozen=True)
class Request:
    """What is run.

    Attributes:
        experiment: whose steps are run.
        settings: its own sections of the configuration.
        machine: where and in how many processes it computes.
        store: keeps the results.
    """

    experiment: Experiment
    settings: BaseModel
    machine: Machine
    store: Store

    @classmethod
    def of(cls, experiment: Experiment, parameters: Mapping[str, Any]) -> "Request":
        """From the sections of the configuration, as they are or as Kedro has validated them."""
        sections = {name: parameters[name] for name in experiment.settings.model_fields}
        device = Device.model_validate(parameters["device"]).pick()
        dtype = Precision.model_validate(parameters["precision"]).pick(device)
        machine = Machine(device, dtype, Parallel.model_validate(parameters["parallel"]))
        require_processes(machine)
        settings = experiment.settings.model_validate(sections)
        return cls(experiment, settings, machine, Store(Path(parameters["store"])))

    @property
    def plan(self) -> Plan:
        """Every cell of every step; made once per run."""
        machine = self.machine
        key = f"{self.experiment.name} {self.settings.model_dump_json()} {machine}"
        if key not in _PLANS:
            _PLANS[key] = plan(self.experiment, self.settings, machine.device, machine.dtype)
        return _PLANS[key]

    def require_inputs(
        self, cells: list[Planned], earlier: Mapping[str, Mapping[str, str]]
    ) -> None:
        """Refuse cells whose inputs are missing; a ``ValueError`` says what has changed since.

        Args:
            cells: that are to be computed, unless they are in the store.
            earlier: by step and label, keys of the results that were made last.
        """
        for cell in cells:
            for name in {} if cell.key in self.store else cell.cell.inputs.values():
                step, _, label = name.partition("/")
                needed, known = self.plan[step][label], earlier.get(step, {}).get(label, "")
                if needed.key in self.store:
                    continue
                why = "were never made with these settings"
                if known in self.store:
                    changed = ", ".join(self._changed(known, needed))
                    why = f"were made with other settings or inputs than are asked for ({changed})"
                raise ValueError(
                    f"the results of {step} of {label!r} {why}: "
                    f"run the stage `{needed.step.stage}`, or the whole pipeline, again"
                )

    def _changed(self, known: str, needed: Planned) -> list[str]:
        """What differs between a stored result and the one that is needed, through all inputs."""
        identity, changed = self.store.record(known)["identity"], []
        for name in differences(identity, needed.identity):
            role = name.removeprefix("inputs.")
            before = identity["inputs"].get(role, "")
            if role != name and before in self.store and role in needed.cell.inputs:
                step, _, label = needed.cell.inputs[role].partition("/")
                changed += self._changed(before, self.plan[step][label])
            else:
                changed.append(name.removeprefix("settings."))
        return list(dict.fromkeys(changed))


def forget_plans() -> None:
    """Files that settings point at may have changed since the last run."""
    _PLANS.clear()
