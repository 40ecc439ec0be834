"""`kedro run --pipeline=boundary` from end to end, on tiny settings."""

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from posinfo.experiments import BOUNDARY
from posinfo.experiments.boundary.report import FIGURES, TABLES
from tests.integration.conftest import (
    CONFIG,
    Copy,
    assert_no_warning_is_ours,
    assert_pictures,
    computed,
    to_compute,
)

PIPELINE = "--pipeline=boundary"
REPORTS = "08_reporting/boundary"


@pytest.fixture(scope="module")
def measured(finished) -> Copy:
    return finished("boundary")


def table(project, name):
    return pd.read_csv(project.data / REPORTS / f"{name}.csv")


def test_each_part_has_a_row_per_cell_and_seed(measured):
    lengths = {name: len(table(measured, name)) for name in TABLES if name != "comparisons"}
    assert lengths == {
        "patch_location": 2 * 2, "red_green": 2 * 2, "distance": 2 * 2 * 2, "reach": 2 * 2 * 11,
        "knees": 2 * 2, "shifts": 2, "canvases": 2 * 2 * 2, "rings": 2 * 2 * 2 * 2,
        "ring_gaps": 2 * 2 * 2, "data_efficiency": 2 * 2 * 2,
    }  # fmt: skip
    for name in ("patch_location", "red_green", "distance", "canvases", "data_efficiency"):
        assert set(table(measured, name).seed) == {0, 1}
    parts = set(table(measured, "comparisons").part)
    assert {"red_green", "canvases", "data_efficiency"} <= parts


def test_what_no_network_can_know_is_chance(measured):
    patches, twins = table(measured, "patch_location"), table(measured, "red_green")
    assert (patches[patches.padding == "full"].accuracy == 0.5).all()
    circular = twins[twins.padding == "circular"]
    assert (circular.identical == 1).all() and (circular.similar == circular.dissimilar).all()
    beyond = table(measured, "distance").query("row == 'bagnet33_random' and border == 48")
    assert (beyond.accuracy == 0.5).all() and len(beyond) == 2


def test_rings_are_those_of_the_stored_answers(measured):
    rings = table(measured, "rings").query("seed == 1")
    for label, rows in rings.groupby("cell"):
        folder = measured.data / f"07_model_output/boundary/canvases/{label}-seed1"
        counts = load_file(folder / "tensors.safetensors")["counts"]
        right = counts.diagonal(dim1=1, dim2=2).sum(1) / counts.sum((1, 2))
        found = rows.set_index("ring").accuracy
        np.testing.assert_allclose(found[2], right[4])
        np.testing.assert_allclose(found[1], np.delete(right.numpy(), 4).mean())


def test_run_ends_with_the_text_and_pictures_of_the_results(measured):
    text = measured.read(f"{REPORTS}/table.md").decode()
    assert text in measured.result.stdout and text.count("## ") == 7
    assert "0.500 [0.982, 1.000]" in text  # ResNet-18 beside both published figures
    assert_pictures(measured, BOUNDARY, *FIGURES)
    assert_no_warning_is_ours(measured.result.stdout + measured.result.stderr)


def test_rows_are_child_runs_with_their_metrics(measured):
    children = measured.children("boundary")
    assert {"patch_location-zero", "red_green-zero", "resnet18-48px-seed1"} <= set(children)
    child = children["bagnet33_random-48px-seed0"]
    assert child.data.metrics["accuracy"] == 0.5
    assert child.data.params["border"] == "48"
    assert children["resnet18-48px-seed1"].data.params["seed"] == "1"


def test_a_part_runs_alone_and_networks_of_permutenet_are_found(measured, tmp_path):
    project = Copy(tmp_path, measured)
    project.configure("boundary: {only: [canvases]}")
    said = project.done(PIPELINE, CONFIG)
    assert computed(said) == [] and "canvas_train 0 of 8" in to_compute(said, "boundary")
    assert len(table(project, "patch_location")) == 0 and len(table(project, "canvases")) == 8
    project.configure("""permutenet:
      dataset: {classes: 5, train_limit: 60, validation: 0.25, test_limit: 10}
      shared:
        arch: narrow_resnet18
        training: {epochs: 1}
      cells: [{network: permutenet, permutation: none, task: location}]
""")
    said = project.done("--pipeline=permutenet", CONFIG)
    assert computed(said) == []


def test_what_cannot_be_ends_before_training(project):
    project.configure("boundary: {canvases: {rows: [{padding: none}]}, only: [canvases]}")
    said = project.failed(PIPELINE, CONFIG)
    assert "images of 96 px are too small for permutenet of arch" in said
    assert "Traceback" not in said and not list(project.data.glob("store/*"))
