"""`kedro run --pipeline=augshift` from end to end, on tiny settings."""

import pandas as pd
import pytest
from safetensors.torch import load_file

from posinfo.experiments import AUGSHIFT
from tests.integration.conftest import (
    Copy,
    assert_no_warning_is_ours,
    assert_pictures,
    to_compute,
)

PIPELINE = "--pipeline=augshift"
REPORTS = "08_reporting/augshift"
FIGURES = ("learning_curves", "trade_off", "agreement")


@pytest.fixture(scope="module")
def shifted(finished) -> Copy:
    return finished("augshift")


def test_scores_have_a_row_per_method_and_seed(shifted):
    scores = pd.read_csv(shifted.data / REPORTS / "scores.csv")
    assert list(scores.columns) == [
        "dataset", "method", "seed", "top1", "consistency_sampled", "consistency_exact",
        "consistency_right", "diagonal_accuracy", "worst_case_accuracy", "max_shift",
        "shift_padding", "split", "n", "n_right", "floor", "width", "latent_weight", "loss",
        "epochs", "batch_size", "lr", "cell",
    ]  # fmt: skip
    ranges = scores.groupby(["max_shift", "shift_padding"], sort=False)
    assert list(ranges.groups) == [(2, "zero"), (1, "crop")]
    for _, rows in ranges:
        assert list(zip(rows.cell, rows.seed, strict=True)) == [
            ("baseline", 0), ("baseline", 1), ("augshift+blurpool", 0), ("augshift+blurpool", 1),
            ("fconv-digits", 0),
        ]  # fmt: skip
    for name in ("top1", "consistency_sampled", "consistency_exact", "diagonal_accuracy"):
        assert scores[name].between(0, 1).all()
    assert (scores.worst_case_accuracy <= scores.diagonal_accuracy).all()
    assert set(scores.n) == {30} and set(scores.floor) == {0.1}
    assert set(scores.dataset) == {"textures", "digits"}


def test_answers_are_those_that_scores_are_of(shifted):
    scores = pd.read_csv(shifted.data / REPORTS / "scores.csv")
    for row in scores.itertuples():
        images = load_file(
            shifted.data / f"03_primary/augshift/images/{row.dataset}/tensors.safetensors"
        )
        label = f"{row.cell}-seed{row.seed}"
        folder = shifted.data / "07_model_output/augshift/evaluate" / label
        labels = images["test.labels"]
        answers = load_file(folder / "tensors.safetensors")[
            f"answers.{row.shift_padding}-{row.max_shift}"
        ]
        assert answers.shape == (30, row.max_shift + 1, row.max_shift + 1)
        pairs = (answers.flatten(1)[:, :, None] == answers.flatten(1)[:, None]).double()
        assert row.consistency_exact == pytest.approx(pairs.mean().item())
        right = answers == labels[:, None, None]
        diagonal = right.diagonal(0, 1, 2).double().mean().item()
        assert row.diagonal_accuracy == pytest.approx(diagonal)
        worst = right.flatten(1).all(1).double().mean().item()
        assert row.worst_case_accuracy == pytest.approx(worst)
        if row.shift_padding == "zero":  # whose middle is the image itself
            assert row.top1 == pytest.approx(right[:, 1, 1].double().mean().item())
    exact = scores.set_index(["cell", "seed", "max_shift"]).consistency_exact.unstack()
    assert (exact[1] != exact[2]).any()


def test_run_ends_with_the_table_and_the_paths(shifted):
    text = shifted.read(f"{REPORTS}/table.md").decode()
    assert text in shifted.result.stdout
    for name in ("scores.csv", "table.csv", "table.md", *(f"{name}.png" for name in FIGURES)):
        assert f"data/test/{REPORTS}/{name}\n" in shifted.result.stdout


def test_run_says_at_its_start_what_it_computes(shifted):
    said = to_compute(shifted.result.stdout, "augshift")
    assert said == "images 2 of 2, train 5 of 5, evaluate 5 of 5"


def test_pictures_are_of_the_results(shifted):
    assert_pictures(shifted, AUGSHIFT, *FIGURES)


def test_no_warning_is_ours(shifted):
    assert_no_warning_is_ours(shifted.result.stdout + shifted.result.stderr)


def test_each_network_is_a_child_run(shifted):
    children = shifted.children("augshift")
    assert set(children) == {
        "baseline-seed0", "baseline-seed1", "augshift+blurpool-seed0", "augshift+blurpool-seed1",
        "fconv-digits-seed0",
    }  # fmt: skip
    child = children["baseline-seed1"]
    expected = {
        "method": "baseline", "training.lr": "0.05", "augmentation.max_shift": "8", "seed": "1",
    }  # fmt: skip
    assert expected.items() <= child.data.params.items()
    scores = pd.read_csv(shifted.data / REPORTS / "scores.csv")
    row = scores.query("cell == 'baseline' and seed == 1 and shift_padding == 'crop'").iloc[0]
    metrics = child.data.metrics
    assert metrics["consistency_exact_crop-1"] == pytest.approx(row.consistency_exact)
    assert {"top1_zero-2", "train_loss", "validation_accuracy"} <= set(metrics)
