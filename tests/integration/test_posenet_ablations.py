"""`kedro run --pipeline=posenet_ablations` from end to end, on tiny settings."""

import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image

REPORTS = "08_reporting/posenet_ablations"
IMAGES = 12 + 8 + 3


def test_scores_have_posenets_columns_and_those_of_the_ablations(ablated):
    scores = pd.read_csv(ablated.data / REPORTS / "scores.csv", keep_default_na=False)
    assert list(scores.columns) == [
        "table", "backbone", "weights", "padding", "pattern", "stimulus", "seed", "spc", "mae",
        "mae_floor", "skill", "n_images", "n_constant", "blocks", "kernel_size", "layers",
        "hidden_width", "readout_padding", "head", "normalisation", "backbone_seed", "cell",
    ]  # fmt: skip
    keys = ["table", "cell", "backbone_seed", "pattern", "stimulus", "seed"]
    assert not scores.duplicated(keys).any()
    assert set(scores.table) == {"1", "2a", "2b", "3", "4", "heads"}
    assert set(scores[scores["head"] == "ridge"].seed) == {0}
    assert set(scores[scores.cell == "vgg16-f1-f5"].blocks) == {"f1+f5"}
    untrained = scores[(scores.backbone == "resnet18_untrained")]
    assert set(untrained.backbone_seed) == {0, 1}
    np.testing.assert_allclose(scores.skill, 1 - scores.mae / scores.mae_floor)


def test_each_image_passes_once_through_each_variant(ablated):
    lines = [line for line in ablated.result.stdout.splitlines() if " computed, the " in line]
    variants = [
        "posenet", "vgg16", "resnet18_untrained", "resnet18_untrained-seed1", "vgg16_circular",
        "posenet-norm-none",
    ]  # fmt: skip
    assert len(lines) == len(variants)
    for variant in variants:
        counted = f" {variant}: features of {IMAGES} images computed, the others cached"
        assert sum(counted in line for line in lines) == 1, variant


def test_tables_are_printed_beside_the_published_numbers(ablated):
    text = ablated.read(f"{REPORTS}/tables.md").decode()
    assert text in ablated.result.stdout
    for table in ("1", "2a", "2b", "3", "4", "heads"):
        assert f"Table {table}\n" in text
    tables = pd.read_csv(ablated.data / REPORTS / "tables.csv")
    vgg = tables.query("table == '3' and blocks == 'all' and pattern == 'gaussian'")
    assert vgg.query("stimulus == 'photos'").published_spc.item() == 0.814


def test_figures_are_pictures(ablated):
    for name in ("figure5", "figure6", "figure7"):
        with Image.open(ablated.data / REPORTS / f"{name}.png") as image:
            assert np.asarray(image.convert("L")).std() > 10


def test_no_warning_is_ours(ablated):
    lines = (ablated.result.stdout + ablated.result.stderr).splitlines()
    assert [line for line in lines if "Warning" in line and "posinfo" in line] == []


def test_each_cell_is_a_child_run(ablated):
    client = mlflow.MlflowClient(f"sqlite:///{ablated.root}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("posinfo").experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    ridge = next(run for run in runs if run.info.run_name == "vgg16-ridge-k1 gaussian")
    assert ridge.data.params["readout.head"] == "ridge"
    assert "held_out_mse_seed_0" in ridge.data.metrics
    block = next(run for run in runs if run.info.run_name == "vgg16-f1-f5 horizontal")
    assert block.data.params["blocks"] == "f1+f5"


def test_features_of_posenet_are_used(project):
    config = project.root / "run.yml"
    config.write_text(
        "run:\n  params:\n    posenet: {only: [posenet]}\n    posenet_ablations: {only: [2b]}\n"
    )
    first = project.run("--pipeline=posenet", "--config=run.yml")
    assert first.returncode == 0, first.stdout + first.stderr
    result = project.run("--pipeline=posenet_ablations", "--config=run.yml")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "posenet: features of 0 images computed" in result.stdout


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("{tables: ['4'], backbone: vgg16, blocks: [f7]}", "vgg16-f7: blocks must be among f1"),
        (
            "{tables: [h], backbone: vgg16, readout: {head: ridge, ridge: {memory_gib: 0.1}}, "
            "seeds: [0]}",
            "readout.ridge.memory_gib is 0.1: use fewer blocks, a smaller kernel, or raise",
        ),
    ],
)
def test_bad_cell_stops_the_run_before_any_work(project, cell, message):
    (project.root / "run.yml").write_text(
        f"run:\n  params:\n    posenet_ablations: {{cells: [{cell}]}}\n"
    )
    result = project.run("--pipeline=posenet_ablations", "--config=run.yml")
    assert result.returncode != 0
    assert message in result.stdout + result.stderr
    assert not list(project.data.glob("04_feature/*"))
