"""`kedro run --pipeline=sweep` from end to end, with trials in a file of SQLite's."""

import random
import re
import subprocess
import time

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.integration.conftest import Copy, assert_no_warning_is_ours, computed

PIPELINE = "--pipeline=sweep"
SEARCHES = {  # what is made high in each ready search
    "augshift": ["top1", "consistency_exact"],
    "permutenet": ["accuracy"],
    "posenet": ["spc_photos"],
}
BY_EPOCH = {
    "augshift": "train_loss_augshift-seed1",
    "permutenet": "train_loss_gapnet-none-image-3x3-seed1",
}
TRIALS = 3
KILLS = 3
ENDS = {"FINISHED", "KILLED"}


def of(experiment: str) -> str:
    return f"--params=sweep.experiment={experiment}"


@pytest.fixture(scope="module", params=SEARCHES)
def swept(request, finished) -> Copy:
    """A project in which a ready search has been run; only read it."""
    copy = finished("sweep", of(request.param))
    copy.experiment = request.param
    return copy


@pytest.fixture(scope="module")
def permuted(finished) -> Copy:
    return finished("sweep", of("permutenet"))


def table(copy: Copy, name: str = "trials") -> pd.DataFrame:
    return pd.read_csv(copy.reports("sweep") / f"{name}.csv")


def reported(copy: Copy) -> dict[str, bytes]:
    """Every report by path."""
    folder = copy.reports("sweep")
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_ready_search_ends_in_tables_pictures_and_configurations(swept):
    names, trials, best = SEARCHES[swept.experiment], table(swept), table(swept, "best")
    assert trials.trial.tolist() == list(range(TRIALS)) and set(trials.state) == {"complete"}
    assert trials[names].notna().all(axis=None)
    settings = [name for name in trials if name.startswith(f"{swept.experiment}.")]
    assert len(settings) >= 3 and not trials.duplicated(settings).any()
    assert set(best.split) == {"validation", "test"} and set(best.seed) == set(
        range(trials.seeds[0])
    )
    # the mean over seeds of what is told of the best is what they were chosen by
    means = best.query("split == 'validation'").groupby("trial")[names].mean()
    expected = trials.set_index("trial").loc[means.index, names]
    np.testing.assert_allclose(means, expected)
    if len(names) == 1:
        assert trials[names[0]].idxmax() in means.index
    files = reported(swept)
    configurations = {name for name in files if name.startswith("configurations/")}
    assert configurations and configurations <= {
        f"configurations/trial-{n}.yml" for n in means.index
    }
    kinds = {"history", "parallel_coordinates", "importances"}
    assert {f"plots/{kind}_{name}.png" for kind in kinds for name in names} <= set(files)
    assert files["summary.md"].decode() in swept.result.stdout
    assert_no_warning_is_ours(swept.result.stdout + swept.result.stderr)


def test_each_trial_is_a_child_run(swept):
    names, trials = SEARCHES[swept.experiment], table(swept).set_index("trial")
    children = swept.children("sweep")
    assert set(children) == {f"trial {number}" for number in range(TRIALS)}
    client = swept.mlflow()
    (study,) = {run.data.tags["study"] for run in children.values()}
    assert re.fullmatch(rf"{swept.experiment}-[0-9a-f]{{8}}", study)
    for number, row in trials.iterrows():
        run = children[f"trial {number}"]
        assert run.data.tags["state"] == "complete"
        settings = {name: row[name] for name in trials if name.startswith(f"{swept.experiment}.")}
        assert set(run.data.params) == set(settings)
        for name, value in run.data.params.items():
            same = (
                float(value) == pytest.approx(settings[name])
                if value[0].isdigit()
                else value == settings[name]
            )
            assert same, name
        for name in names:
            assert run.data.metrics[name] == pytest.approx(row[name])
            assert run.data.metrics[f"{name}_sd"] == pytest.approx(row[f"{name}_sd"])
        if curve := BY_EPOCH.get(swept.experiment):
            steps = [metric.step for metric in client.get_metric_history(run.info.run_id, curve)]
            assert steps == [1, 2]
    parent = children["trial 0"].data.tags["mlflow.parentRunId"]
    assert {file.path for file in client.list_artifacts(parent)} >= {
        "best.csv",
        "summary.md",
        "plots",
    }


def test_second_run_computes_nothing(permuted, tmp_path):
    again = Copy(tmp_path, permuted)
    said = again.done(PIPELINE, of("permutenet"))
    assert computed(said) == [] and not re.search(r"trial \d+ complete", said)
    assert again.stored("**/*.*") == permuted.stored("**/*.*")
    assert reported(again) == reported(permuted)
    assert again.children("sweep") == {}


def test_best_configuration_runs_as_it_is(permuted, tmp_path):
    project = Copy(tmp_path, permuted)
    best = table(permuted, "best").query("split == 'test'")
    (number,) = set(best.trial[best.trial == table(permuted).accuracy.idxmax()])
    configuration = project.reports("sweep") / f"configurations/trial-{number}.yml"
    assert yaml.safe_load(configuration.read_text())["run"]["pipeline"] == "permutenet"
    said = project.done(f"--config={configuration.relative_to(project.root)}")
    assert computed(said) == []  # the sweep has measured it on test images
    scores = pd.read_csv(project.reports("permutenet") / "scores.csv").sort_values("seed")
    assert set(scores.split) == {"test"}
    assert scores.accuracy.tolist() == best[best.trial == number].accuracy.tolist()


def test_killed_sweeps_go_on_to_the_undisturbed_tables(project, permuted):
    draw = random.Random(0)
    for _ in range(KILLS):
        process = project.start(PIPELINE, of("permutenet"))
        while not (project.root / "optuna.db").exists() and process.poll() is None:
            time.sleep(0.02)
        try:
            process.wait(draw.uniform(0, 8))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    project.done(PIPELINE, of("permutenet"))
    assert project.read("08_reporting/sweep/trials.csv") == permuted.read(
        "08_reporting/sweep/trials.csv"
    )
    assert project.read("08_reporting/sweep/best.csv") == permuted.read(
        "08_reporting/sweep/best.csv"
    )
    assert {run.info.status for run in project.mlflow_runs()} <= ENDS
    assert not list(project.data.glob("store/**/.*.partial"))


def test_two_sweeps_at_once_share_the_trials(project, permuted):
    outputs = [project.root / f"said-{number}.txt" for number in range(2)]
    both = []
    for file in outputs:
        both.append(project.start(PIPELINE, of("permutenet"), said=file))
    assert [process.wait(timeout=300) for process in both] == [0, 0], outputs[0].read_text()
    trials, alone = table(project), table(permuted)
    assert trials.trial.tolist() in ([0, 1, 2], [0, 1, 2, 3])
    pd.testing.assert_frame_equal(trials.head(TRIALS), alone)
    said = [file.read_text() for file in outputs]
    told = sorted(
        int(number) for each in said for number in re.findall(r"trial (\d+) complete", each)
    )
    assert told == trials.trial.tolist()
    reports = [
        each[each.index("# permutenet-") : each.index("data/test/08_reporting")] for each in said
    ]
    assert reports[0] == reports[1]
    assert {run.info.status for run in project.mlflow_runs()} == {"FINISHED"}
