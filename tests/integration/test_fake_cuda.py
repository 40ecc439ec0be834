"""Every numeric step of every experiment on a device that is not there: nothing stays behind."""

import pytest
import torch

from posinfo.experiment import Experiment, Step
from posinfo.work import Work
from tests.integration.on_device import NAMES, NUMERIC, disagreements, recomputed
from tests.integration.pretended_cuda import CUDA, PretendedCuda

ROUNDING = 1e-4  # batches are larger on a GPU

every_step = pytest.mark.parametrize(("experiment", "step"), NUMERIC, ids=NAMES)


@every_step
def test_a_step_leaves_nothing_on_the_cpu(finished, tmp_path, experiment: Experiment, step: Step):
    with PretendedCuda() as device:
        work = Work(CUDA)
        cells = recomputed(finished(experiment.name), experiment, step, work, tmp_path)
        differ = {label: disagreements(*results, ROUNDING) for label, *results in cells}
    assert differ and not any(differ.values()), differ
    assert "cpu" not in device.costly, device.costly


@every_step
def test_nor_does_it_in_bfloat16(finished, tmp_path, experiment: Experiment, step: Step):
    with PretendedCuda() as device:
        work = Work(CUDA, torch.bfloat16)
        label, _, _ = next(recomputed(finished(experiment.name), experiment, step, work, tmp_path))
    assert label and "cpu" not in device.costly, device.costly
