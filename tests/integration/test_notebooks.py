"""Every notebook runs on the results of both posenet experiments, and is stored without outputs."""

import shutil

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import PROJECT

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))


def read(path):
    return nbformat.read(path, as_version=4)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_without_outputs(path):
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    assert cells
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_draws(path, project, finished, monkeypatch):
    for experiment in ("posenet", "posenet_ablations"):
        folder = finished(experiment).reports(experiment)
        shutil.copytree(folder, project.reports(experiment))
    monkeypatch.setenv("KEDRO_ENV", "test")
    notebook = read(path)
    resources = {"metadata": {"path": project.root}}
    NotebookClient(notebook, timeout=120, resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2
