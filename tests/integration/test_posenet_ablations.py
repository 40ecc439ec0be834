"""`kedro run --pipeline=posenet_ablations` from end to end, on tiny settings."""

import numpy as np
import pandas as pd
import pytest

from posinfo.experiments import POSENET_ABLATIONS
from tests.integration.conftest import (
    Copy,
    assert_no_warning_is_ours,
    assert_pictures,
    computed,
    to_compute,
)

REPORTS = "08_reporting/posenet_ablations"


@pytest.fixture(scope="module")
def ablated(finished) -> Copy:
    return finished("posenet_ablations")


def test_scores_have_posenets_columns_and_those_of_the_ablations(ablated):
    scores = pd.read_csv(ablated.data / REPORTS / "scores.csv", keep_default_na=False)
    assert list(scores.columns) == [
        "table", "backbone", "weights", "padding", "pattern", "stimulus", "seed", "spc", "mae",
        "floor", "skill", "split", "n", "n_constant", "stuck", "blocks", "kernel_size", "layers",
        "hidden_width", "readout_padding", "head", "normalisation", "backbone_seed", "cell",
    ]  # fmt: skip
    keys = ["table", "cell", "backbone_seed", "pattern", "stimulus", "seed"]
    assert not scores.duplicated(keys).any()
    assert set(scores.table) == {"1", "2a", "2b", "3", "4", "heads"}
    assert set(scores[scores["head"] == "ridge"].seed) == {0}
    assert set(scores[scores.cell == "vgg16-f1-f5"].blocks) == {"f1+f5"}
    untrained = scores[(scores.backbone == "resnet18_untrained")]
    assert set(untrained.backbone_seed) == {0, 1}
    np.testing.assert_allclose(scores.skill, 1 - scores.mae / scores.floor)


def test_each_image_passes_once_through_each_variant(ablated):
    """Those of posenet and vgg16 are in the store, from the pipeline posenet."""
    variants = [
        "resnet18_untrained", "resnet18_untrained-seed1", "vgg16_circular", "posenet-norm-none",
    ]  # fmt: skip
    assert to_compute(ablated.result.stdout, "posenet_ablations").startswith(
        "images 0 of 3, features 12 of 18, "
    )
    features = [name for name in computed(ablated.result.stdout) if name.startswith("features/")]
    assert features == [
        f"features/{variant}.{images}"
        for variant in variants
        for images in ("train", "test", "synthetic")
    ]


def test_tables_are_printed_beside_the_published_numbers(ablated):
    text = ablated.read(f"{REPORTS}/tables.md").decode()
    assert text in ablated.result.stdout
    for table in ("1", "2a", "2b", "3", "4", "heads"):
        assert f"Table {table}\n" in text
    tables = pd.read_csv(ablated.data / REPORTS / "tables.csv")
    vgg = tables.query("table == '3' and blocks == 'all' and pattern == 'gaussian'")
    assert vgg.query("stimulus == 'photos'").published_spc.item() == 0.814


def test_pictures_are_of_the_results(ablated):
    assert_pictures(ablated, POSENET_ABLATIONS, "figure5", "figure6", "figure7")


def test_no_warning_is_ours(ablated):
    assert_no_warning_is_ours(ablated.result.stdout + ablated.result.stderr)


def test_each_cell_is_a_child_run(ablated):
    children = ablated.children("posenet_ablations")
    assert len(children) == 13
    ridge = children["vgg16-ridge-k1"]
    assert ridge.data.params["readout.head"] == "ridge"
    assert "held_out_mse_gaussian_seed_0" in ridge.data.metrics
    assert "spc_horizontal_photos" in ridge.data.metrics
    assert children["vgg16-f1-f5"].data.params["blocks"] == "f1+f5"
    assert children["resnet18_untrained-seed1"].data.params["backbone_seed"] == "1"
