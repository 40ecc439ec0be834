"""`kedro run --pipeline=augshift` from end to end, on tiny settings."""

import mlflow
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.torch import load_file

from tests.integration.conftest import Copy

REPORTS = "08_reporting/augshift"
FIGURES = ("learning_curves", "trade_off", "agreement")


@pytest.fixture(scope="module")
def shifted(tmp_path_factory) -> Copy:
    """A project in which the pipeline has been run once; only read it."""
    copy = Copy(tmp_path_factory.mktemp("shifted"))
    copy.result = copy.run("--pipeline=augshift")
    assert copy.result.returncode == 0, copy.result.stdout + copy.result.stderr
    return copy


def test_scores_have_a_row_per_method_and_seed(shifted):
    scores = pd.read_csv(shifted.data / REPORTS / "scores.csv")
    assert list(scores.columns) == [
        "dataset", "method", "seed", "top1", "consistency_sampled", "consistency_exact",
        "diagonal_accuracy", "worst_case_accuracy", "max_shift", "shift_padding", "n", "width",
        "latent_weight", "loss", "cell",
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
    assert set(scores.n) == {30} and set(scores.dataset) == {"textures", "digits"}


def test_answers_are_those_that_scores_are_of(shifted):
    scores = pd.read_csv(shifted.data / REPORTS / "scores.csv").set_index(["cell", "seed"])
    folder = shifted.data / "07_model_output/augshift/answers"
    for (cell, seed), row in scores.iterrows():
        answers = load_file(folder / f"{cell}.safetensors")
        labels, side = answers["labels"], row.max_shift + 1
        unshifted = answers[f"seed{seed}.zero-0"].flatten()
        assert row.top1 == (unshifted == labels).double().mean().item()
        given = answers[f"seed{seed}.{row.shift_padding}-{row.max_shift}"]
        assert given.shape == (30, side, side)
        pairs = (given.flatten(1)[:, :, None] == given.flatten(1)[:, None]).double()
        assert row.consistency_exact == pytest.approx(pairs.mean().item())
        right = given == labels[:, None, None]
        assert row.diagonal_accuracy == pytest.approx(
            right.diagonal(0, 1, 2).double().mean().item()
        )
        assert row.worst_case_accuracy == pytest.approx(
            right.flatten(1).all(1).double().mean().item()
        )
    exact = scores.set_index("max_shift", append=True).consistency_exact.unstack()
    assert (exact[1] != exact[2]).any()


def test_run_ends_with_the_table_and_the_paths(shifted):
    text = shifted.read(f"{REPORTS}/table.md").decode()
    assert text in shifted.result.stdout
    for name in ("scores.csv", "table.csv", "table.md", *(f"{name}.png" for name in FIGURES)):
        assert f"data/test/{REPORTS}/{name}\n" in shifted.result.stdout


def test_pictures_are_pictures(shifted):
    for name in FIGURES:
        with Image.open(shifted.data / REPORTS / f"{name}.png") as image:
            assert np.asarray(image.convert("L")).std() > 10


def test_no_warning_is_ours(shifted):
    lines = (shifted.result.stdout + shifted.result.stderr).splitlines()
    assert [line for line in lines if "Warning" in line and "posinfo" in line] == []


def test_each_method_is_a_child_run(shifted):
    client = mlflow.MlflowClient(f"sqlite:///{shifted.root}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("posinfo").experiment_id])
    parent = next(run for run in runs if run.info.run_name == "augshift")
    children = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert {run.info.run_name for run in children} == {
        "baseline",
        "augshift+blurpool",
        "fconv-digits",
    }
    assert {run.info.status for run in runs} == {"FINISHED"}
    child = next(run for run in children if run.info.run_name == "baseline")
    expected = {"method": "baseline", "training.lr": "0.05", "augmentation.max_shift": "8"}
    assert expected.items() <= child.data.params.items()
    assert {"top1", "consistency_exact_zero-2", "consistency_exact_crop-1_seed_1"} <= set(
        child.data.metrics
    )


def test_evaluation_refuses_what_was_trained_otherwise(project):
    config = project.root / "run.yml"
    config.write_text("run:\n  params:\n    augshift: {only: [baseline], seeds: [0]}\n")
    for stage in ("data_preparation", "modeling", "evaluation"):
        result = project.run("--pipeline=augshift", f"--tags={stage}", "--config=run.yml")
        assert result.returncode == 0, result.stdout + result.stderr
    config.write_text("run:\n  params:\n    augshift: {only: [baseline], seeds: [0], width: 3}\n")
    result = project.run("--pipeline=augshift", "--tags=evaluation", "--config=run.yml")
    assert result.returncode != 0
    assert "baseline-seed0 were made with other settings or inputs" in result.stderr
    changed = "only: [baseline], seeds: [0], dataset: {train_limit: 70}"
    config.write_text(f"run:\n  params:\n    augshift: {{{changed}}}\n")
    result = project.run("--pipeline=augshift", "--tags=modeling", "--config=run.yml")
    assert result.returncode != 0
    assert "the images of 'textures' were made with other settings" in result.stderr


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("augshift.latent_weight=-1", "greater than or equal to 0"),
        ("augshift.training.batch_size=99", "60 train images are fewer than a batch of 99"),
    ],
)
def test_bad_parameter_stops_the_run(project, parameters, message):
    result = project.run("--pipeline=augshift", f"--params={parameters}")
    assert result.returncode != 0
    assert message in " ".join((result.stdout + result.stderr).split())
    assert not list(project.data.glob("06_models/augshift/networks/*"))
