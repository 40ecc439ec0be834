import matplotlib
import numpy as np
import optuna
import pandas as pd
import pytest
import yaml
from optuna.distributions import FloatDistribution, IntDistribution

from posinfo.pipelines import sweeping
from posinfo.pipelines.sweep_settings import TEST
from posinfo.pipelines.sweeping import search
from posinfo.pipelines.sweeping_report import (
    best_trials,
    configuration,
    make_report,
    trials_table,
    with_short_names,
)
from posinfo.pipelines.sweeping_samplers import values_of
from posinfo.pipelines.sweeping_storage import open_study
from tests.pipelines.searched import parameters, sweep_of

pytestmark = pytest.mark.usefixtures("tiny")

TWO = [{"metric": name, "direction": "minimize"} for name in ("error", "size")]


def ended(sweep, *values):
    """The study of a sweep that has ended, whose trials are these after 3.0."""
    for value in values:
        open_study(sweep).enqueue_trial({"tiny.x": value})
    list(search(sweep))
    return open_study(sweep)


def test_best_is_compared_with_the_settings_as_they_were(tmp_path):
    sweep = sweep_of(tmp_path, {"n_trials": 3})
    report = make_report(ended(sweep, 1.0, 2.0), sweep)
    assert report.best.to_dict("records") == [
        {"trial": trial, "split": split, "seed": seed, "error": error + 0.25 * seed + more}
        for trial, error in ((1, 1.0), (0, 5.0))
        for split, more in (("validation", 0), ("test", 100))
        for seed in (0, 1)
    ]
    found = report.comparisons.set_index("split")
    assert found.difference.to_dict() == {"validation": -4.0, "test": -4.0}
    assert report.summary.startswith(
        f"# {sweep.study}\n\ntiny, 3 trials (3 complete). Each is the mean of 2 seeds on "
        "validation images; sd: the spread of the seeds.\n"
    )
    assert "which favours what was lucky there: trial 1. Test images" in report.summary
    assert "| trial 1 - trial 0 (as they were) |" in report.summary
    assert "`kedro run --config=FOLDER/trial-1.yml` runs trial 1." in report.summary
    assert "| trial 0 (as they were) | test       |     105.125" in report.summary
    assert list(report.configurations) == ["trial-1"]


def test_summary_lists_the_best_first(tmp_path):
    for direction, order in (("minimize", [1.0, 2.0, 3.0]), ("maximize", [3.0, 2.0, 1.0])):
        objectives = [{"metric": "error", "direction": direction}]
        sweep = sweep_of(tmp_path / direction, {"n_trials": 3, "objectives": objectives})
        study = ended(sweep, 2.0, 1.0)
        lines = make_report(study, sweep).summary.splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("|:--") or "--:|" in line)
        values = [float(line.split("|")[4]) for line in lines[start + 1 : start + 4]]
        assert values == order
        assert best_trials(study)[0].params == {"tiny.x": order[0]}


def test_lead_is_told_from_none(tmp_path, monkeypatch):
    sweep = sweep_of(tmp_path, {"n_trials": 2, "seeds_per_trial": 3})
    study = ended(sweep, 1.0)
    said = make_report(study, sweep).summary
    assert (
        "Trial 1 minus trial 0: -4.0000 (-4.0000 to -4.0000, paired seeds): no lead: "
        "equal differences of so few seeds show no spread."
    ) in said
    for study, first, lead in (
        ("noisy", [4.0, 3.0, 7.0], "-0.3333 (-5.5045 to +4.8378, paired seeds): no lead: 0 lies "),
        ("clear", [2.0, -2.5, 6.5], "-3.0000 (-4.2421 to -1.7579, paired seeds): a lead."),
    ):
        values = {3.0: [5.0, 1.0, 9.0], 1.0: first}
        monkeypatch.setattr(
            sweeping, "by_seed", lambda results, _, v=values: v[results["seed0"].table["size"][0]]
        )
        sweep = sweep_of(tmp_path, {"n_trials": 2, "seeds_per_trial": 3}, study=study)
        assert f"Trial 1 minus trial 0: {lead}" in make_report(ended(sweep, 1.0), sweep).summary


def test_one_seed_says_nothing_of_a_lead(tmp_path):
    sweep = sweep_of(tmp_path, {"n_trials": 2, "seeds_per_trial": 1})
    report = make_report(ended(sweep, 1.0), sweep)
    assert "One seed per trial: nothing says whether trial 1 leads trial 0." in report.summary
    table = trials_table(open_study(sweep), sweep)
    assert table.seeds.tolist() == [1, 1] and table.error_sd.isna().all()


def test_front_of_two_objectives(tmp_path):
    sweep = sweep_of(tmp_path, {"n_trials": 4, "objectives": TWO})
    report = make_report(ended(sweep, 1.0, 0.5, 0.0), sweep)  # 3.0 is worse than 1.0 in both
    assert set(report.best.trial) == {1, 2, 3, 0}
    assert list(report.configurations) == ["trial-1", "trial-2", "trial-3"]
    assert "## The front on test images" in report.summary
    assert "trials 1, 2, 3. Test images were looked at" in report.summary
    assert " minus trial " not in report.summary
    on_test = (
        report.best.loc[report.best.split == "test"].groupby("trial")[["error", "size"]].mean()
    )
    assert on_test["error"].to_dict() == {0: 105.125, 1: 101.125, 2: 101.375, 3: 102.125}
    assert on_test["size"].to_dict() == {0: 3.0, 1: 1.0, 2: 0.5, 3: 0.0}
    assert set(report.plots) == {
        "history_error", "parallel_coordinates_error", "importances_error",
        "history_size", "parallel_coordinates_size", "importances_size", "front",
    }  # fmt: skip


def test_plots_of_one_objective(tmp_path):
    sweep = sweep_of(tmp_path, {"n_trials": 2})
    plots = make_report(ended(sweep, 1.0), sweep).plots
    assert set(plots) == {
        "history_error", "parallel_coordinates_error", "importances_error", "epochs",
    }  # fmt: skip
    labels = plots["parallel_coordinates_error"].axes[0].get_xticklabels()
    assert [label.get_text() for label in labels] == ["error", "x"]  # of tiny.x


def test_plots_name_settings_by_what_tells_them_apart():
    lr, other, width = "net.shared.training.lr", "net.training.lr", "net.shared.width"
    study = optuna.create_study(direction="maximize")
    for value in (1.0, 2.0):
        trial = study.ask(
            {
                **dict.fromkeys((lr, other), FloatDistribution(0, 1)),
                width: IntDistribution(1, 9),
            }
        )
        trial.report(value / 2, 1)
        study.tell(trial, value)
    study.ask()  # and one that another process runs
    short = {lr: "shared.training.lr", other: "net.training.lr", width: "width"}
    copy = with_short_names(study)
    assert copy.direction == study.direction and copy.best_value == 2
    for mine, original in zip(copy.trials, study.trials, strict=True):
        assert mine.params == {short[name]: value for name, value in original.params.items()}
        assert (mine.state, mine.values, mine.intermediate_values) == (
            original.state, original.values, original.intermediate_values,
        )  # fmt: skip


def test_trials_that_are_all_alike_have_no_importances(tmp_path):
    sweep = sweep_of(tmp_path, {"n_trials": 2})
    assert "importances_error" not in make_report(ended(sweep, 3.0), sweep).plots


def test_report_without_a_complete_trial(tmp_path):
    sweep = sweep_of(tmp_path, {"n_trials": 1, "settings": {"tiny.shape": "failing"}})
    report = make_report(ended(sweep), sweep)
    assert report.summary == f"# {sweep.study}\n\nNo trial is complete.\n"
    assert (report.plots, report.configurations) == ({}, {})
    assert report.best.empty and report.comparisons.empty
    assert list(report.best.columns) == ["trial", "split", "seed", "error"]


def test_start_outside_of_the_space_is_not_measured(tmp_path):
    space = {"tiny.x": {"type": "float", "low": 0.0, "high": 2.0}}
    sweep = sweep_of(tmp_path, {"n_trials": 1, "space": space})
    report = make_report(ended(sweep, 1.0), sweep)
    assert set(report.best.trial) == {0} and report.comparisons.empty
    assert "as they were)" not in report.summary


def test_configuration_is_that_of_the_trial(tmp_path):
    groups = {"slow": {"lr": 0.5}, "fast": {"lr": 1.5}}
    sweep = sweep_of(
        tmp_path,
        {
            "space": {
                "tiny.x": {"type": "float", "low": 0.0, "high": 4.0},
                "tiny.training": {"type": "categorical", "choices": groups},
            },
            "settings": {"tiny.epochs": 2},
            "n_trials": 2,
        },
    )
    study = ended(sweep)
    (best,) = best_trials(study)
    changes = values_of(best, sweep.settings.search.space)
    told = yaml.safe_load(make_report(study, sweep).configurations[f"trial-{best.number}"])
    assert told["run"]["pipeline"] == "tiny"
    assert told["run"]["params"] == {"tiny": sweep.configured(changes, TEST)["tiny"]}
    assert told["run"]["params"]["tiny"]["training"] == changes["tiny.training"]
    as_it_is = yaml.safe_load(configuration(sweep, {}))["run"]["params"]["tiny"]
    assert as_it_is == {**parameters(tmp_path)["tiny"], "epochs": 2, "seeds": [0, 1]}


def test_table_has_all_that_ended(tmp_path):
    space = {
        "tiny.shape": {"type": "categorical", "choices": ["square", "failing"]},
        "tiny.x": {"type": "float", "low": 3.0, "high": 4.0, "when": {"tiny.shape": "square"}},
    }
    sweep = sweep_of(tmp_path, {"space": space, "n_trials": 2, "settings": {"tiny.x": 3.0}})
    open_study(sweep).enqueue_trial({"tiny.shape": "failing"})
    list(search(sweep))
    table = trials_table(open_study(sweep), sweep)
    assert list(table.columns) == [
        "trial", "state", "error", "error_sd", "seeds", "tiny.shape", "tiny.x", "failure",
    ]  # fmt: skip
    assert table.state.tolist() == ["complete", "fail"]
    assert table["tiny.x"].tolist() == pytest.approx([3.0, np.nan], nan_ok=True)
    assert table.failure.tolist()[0] == "" and "lower x" in table.failure.tolist()[1]
    pd.testing.assert_frame_equal(table, trials_table(open_study(sweep), sweep))


def test_plots_leave_the_style_of_other_figures_alone(tmp_path):
    sweep = sweep_of(tmp_path, {"n_trials": 3})
    study = ended(sweep)
    before = dict(matplotlib.rcParams)
    make_report(study, sweep)
    assert dict(matplotlib.rcParams) == before
