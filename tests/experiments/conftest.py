import copy
from collections.abc import Mapping

import torch
import yaml

from posinfo.experiment import Experiment
from posinfo.plan import Plan, plan
from tests.conftest import PROJECT


def base(*sections: str) -> dict:
    """Sections of conf/base by name, each from its own file."""
    files = {"photos": "parameters.yml"}
    texts = {
        name: (PROJECT / "conf/base" / files.get(name, f"parameters_{name}.yml")).read_text()
        for name in sections
    }
    return {name: yaml.safe_load(text)[name] for name, text in texts.items()}


def changed(sections: Mapping, **changes) -> dict:
    """A copy with some values replaced: ``posenet__readout__lr=1``."""
    settings = copy.deepcopy(dict(sections))
    for path, value in changes.items():
        *parents, last = path.split("__")
        section = settings
        for name in parents:
            section = section[name]
        section[last] = value
    return settings


def planned(experiment: Experiment, sections: Mapping, dtype: torch.dtype = torch.float32) -> Plan:
    """The plan of an experiment on a CPU."""
    settings = experiment.settings.model_validate(sections)
    return plan(experiment, settings, torch.device("cpu"), dtype)


def check(experiment: Experiment, sections: Mapping) -> None:
    """What a run does before it computes anything, in a store that has nothing."""
    for cells in planned(experiment, sections).values():
        for cell in cells.values():
            cell.cell.check()


def keys(experiment: Experiment, sections: Mapping, step: str) -> dict[str, str]:
    """Keys of a step's results by label."""
    return {label: cell.key for label, cell in planned(experiment, sections)[step].items()}
