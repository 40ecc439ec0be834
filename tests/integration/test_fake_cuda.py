"""Every numeric step of every experiment on a device that is not there: nothing stays behind."""

from typing import Any

import pytest
import torch
from torch import nn

from posinfo.experiment import Experiment, Step
from posinfo.experiments import AUGSHIFT, CHANNEL_ATTACK, PERMUTENET
from posinfo.networks.models.augshift import METHODS
from posinfo.networks.surgery.padding import PADDINGS, repad
from posinfo.work import Work
from tests.experiments.conftest import changed
from tests.integration.conftest import merged
from tests.integration.on_device import NAMES, NUMERIC, disagreements, recomputed
from tests.integration.pretended_cuda import CUDA, PretendedCuda

ROUNDING = 1e-4  # batches are larger on a GPU

# the features of posenet_ablations are those of posenet, and take two minutes
ASKED = [
    (*each, name)
    for each, name in zip(NUMERIC, NAMES, strict=True)
    if name != "posenet_ablations-features"
]


@pytest.fixture(autouse=True)
def seeds_one_by_one(monkeypatch):
    """The pretended device does not see into vmap; that it gives the same is a test of its own."""
    monkeypatch.setattr("posinfo.networks.models.stacked_convnets.ONE_BY_ONE", "cuda")


every_step = pytest.mark.parametrize(
    ("experiment", "step"), [pytest.param(*each, id=name) for *each, name in ASKED]
)


@every_step
def test_a_step_leaves_nothing_on_the_cpu(finished, tmp_path, experiment: Experiment, step: Step):
    project = finished(experiment.name)
    with PretendedCuda() as device:
        cells = recomputed(project, experiment, step, Work(CUDA), tmp_path)
        differ = {label: disagreements(*results, ROUNDING) for label, *results in cells}
    assert differ and not any(differ.values()), differ
    assert "cpu" not in device.costly, device.costly


# trainings that conf/test has not: experiment, changed settings
TRAININGS: dict[str, tuple[Experiment, dict[str, Any]]] = {
    "mirrored_tiles": (PERMUTENET, {"permutenet__shared__training__mirrored": True}),
    "mirrored_scenes": (CHANNEL_ATTACK, {"channel_attack__training__mirrored": True}),
    **{
        name: (AUGSHIFT, {"augshift__methods": [{"method": name, "seeds": [0]}]})
        for name in METHODS
    },
}


@pytest.mark.parametrize("name", TRAININGS)
def test_nor_does_another_training(finished, tmp_path, name):
    experiment, changes = TRAININGS[name]
    (step,) = [step for step in experiment.steps if step.name == "train"]
    sections, project = changed(merged("test"), **changes), finished(experiment.name)
    with PretendedCuda() as device:
        label, *results = next(
            recomputed(project, experiment, step, Work(CUDA), tmp_path, sections)
        )
        assert device.costly["cuda"] and label
    assert disagreements(*results, ROUNDING) == {}


@pytest.mark.parametrize("kind", PADDINGS)
def test_nor_does_a_padding(kind, generator):
    torch.manual_seed(0)
    images = torch.rand(2, 3, 24, 24, generator=generator)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.AvgPool2d(3, 2, padding=1), nn.MaxPool2d(3, 2, padding=1),
        nn.ConstantPad2d(1, 0.0), nn.Conv2d(4, 5, 3, padding="same"),
    ).eval()  # fmt: skip
    expected = repad(network, kind)(images)
    with PretendedCuda() as device:
        found = repad(network, kind).to(CUDA)(images.to(CUDA))
        assert found.is_cuda
    assert found.equal(expected) and "cpu" not in device.costly


@every_step
def test_nor_does_it_in_bfloat16(finished, tmp_path, experiment: Experiment, step: Step):
    project, work = finished(experiment.name), Work(CUDA, torch.bfloat16)
    with PretendedCuda() as device:
        label, _, _ = next(recomputed(project, experiment, step, work, tmp_path))
    assert label and "cpu" not in device.costly, device.costly
