"""The experiment of docs/adding-an-experiment.md, as it stands on the page, works as it says."""

import re

import mlflow
import pandas as pd
import pytest

from tests.conftest import PROJECT

PAGE = (PROJECT / "docs/adding-an-experiment.md").read_text()
HOUSE = "src/posinfo/experiments"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def extended(project):
    """The project with the page's files."""
    (module,), (settings,) = blocks("python"), blocks("yaml")
    (project.root / HOUSE / "border.py").write_text(module)
    (project.root / "conf/base/parameters_border.yml").write_text(settings)
    registry = project.root / HOUSE / "__init__.py"
    text = registry.read_text().replace("        POSENET,\n", "        BORDER,\n        POSENET,\n")
    registry.write_text("from posinfo.experiments.border import BORDER\n" + text)
    return project


def test_experiment_of_the_page_runs_in_processes_is_tracked_and_resumes(extended):
    first = extended.run_afresh("--pipeline=border", "--params=parallel.n_jobs=2")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "border: to compute: images 1 of 1, maps 9 of 9, compare 9 of 9" in first.stdout
    scores = pd.read_csv(extended.data / "08_reporting/border/scores.csv")
    effects = scores.groupby("padding").effect.mean()
    assert len(scores) == 9
    assert effects["constant"] > 10 * effects["circular"]  # the finding, and its negative control
    client = mlflow.MlflowClient(f"sqlite:///{extended.root}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("posinfo").experiment_id])
    cells = {run.info.run_name: run for run in runs if "effect" in run.data.metrics}
    assert len(cells) == 9
    expected = {"padding": "constant", "seed": "1"}
    assert expected.items() <= cells["constant-seed1"].data.params.items()
    again = extended.run("--pipeline=border", "--params=border.depth=4")
    assert "border: to compute: images 0 of 1, maps 0 of 9, compare 0 of 9" in again.stdout
    deeper = extended.run("--pipeline=border", "--params=border.depth=5")
    assert "border: to compute: images 0 of 1, maps 9 of 9, compare 9 of 9" in deeper.stdout
