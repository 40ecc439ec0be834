"""What a GPU's owner runs first, `python -m pytest -m cuda`: every pipeline there and on the CPU.

A step that starts from the same inputs gives the same scores, and a training the same losses, if
not the same digits of them: evaluations read the weights that the CPU has trained.
"""

import pandas as pd
import pytest
import torch

from posinfo.experiment import Experiment, Step
from posinfo.experiments import EXPERIMENTS
from posinfo.work import Work
from tests.integration.conftest import Copy
from tests.integration.on_device import NAMES, NUMERIC, disagreements, recomputed

pytestmark = pytest.mark.cuda

SAME = 1e-3
# noise of 1e-6 behind each convolution moves shares of the mean activation of channels that are
# hardly ever active by 2e-3
TOLERANCES = {"rank": 1e-2, "channels": 1e-2}


@pytest.fixture
def float32(monkeypatch):
    """As in a run: float32 means float32."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)


@pytest.mark.parametrize(("experiment", "step"), NUMERIC, ids=NAMES)
def test_a_step_computes_what_it_computes_on_the_cpu(
    finished, tmp_path, float32, experiment: Experiment, step: Step
):
    work = Work(torch.device("cuda"))
    cells = recomputed(finished(experiment.name), experiment, step, work, tmp_path)
    tolerance = TOLERANCES.get(step.name, SAME)
    differ = {label: disagreements(*pair, tolerance) for label, *pair in cells}
    assert differ and not any(differ.values()), differ


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_pipeline_ends_with_the_rows_of_the_cpu(finished, tmp_path, name, precision):
    # an interpreter of its own: CUDA does not survive a fork
    params = f"--params=device=cuda,precision={precision}"
    project = Copy(tmp_path)
    run = project.run_afresh(f"--pipeline={name}", params)
    assert run.returncode == 0, run.stdout + run.stderr
    there, here = (
        pd.read_csv(each.reports(name) / "scores.csv") for each in (project, finished(name))
    )
    texts = here.select_dtypes(exclude=["number", "bool"]).columns
    pd.testing.assert_frame_equal(there[texts], here[texts])
    assert list(there) == list(here)
