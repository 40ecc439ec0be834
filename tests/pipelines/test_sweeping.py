import logging
import time
from dataclasses import replace

import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from posinfo.experiment import Result
from posinfo.experiments import EXPERIMENTS
from posinfo.pipelines import sweeping
from posinfo.pipelines.processes import this_process
from posinfo.pipelines.sweep_settings import Objective
from posinfo.pipelines.sweeping import by_seed, prepare, run_trial, search
from posinfo.pipelines.sweeping_report import make_report, trials_table
from posinfo.pipelines.sweeping_storage import MOST_LOSSES, PROCESS, open_study
from posinfo.store import Store
from posinfo.writing import UnwritableError
from tests.pipelines import searched
from tests.pipelines.searched import TINY, sweep_of

pytestmark = [
    pytest.mark.usefixtures("tiny"),
    pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed"),
]

FOUR = {"n_trials": 4}


def shaped(shape, **search):
    return {"settings": {"tiny.shape": shape}, **search}


def trials(sweep):
    return trials_table(open_study(sweep), sweep)


def queued(sweep, *values):
    """The sweep, whose next trials after the settings as they are (3.0) are these."""
    for value in values:
        open_study(sweep).enqueue_trial({"tiny.x": value})
    return sweep


def run_tiny_trial(sweep, until):
    """In another process, which does not know of the experiment yet."""
    EXPERIMENTS.setdefault("tiny", TINY)
    return run_trial(sweep, until)


@pytest.fixture
def ran(monkeypatch):
    """The cells that are computed, by step."""
    cells = {"train": [], "evaluate": []}

    def noting(step):
        def run(cell, inputs, work):
            cells[step.name].append(cell)
            return step.run(cell, inputs, work)

        run.__module__ = step.run.__module__
        return replace(step, run=run)

    steps = tuple(noting(step) for step in TINY.steps)
    monkeypatch.setitem(EXPERIMENTS, "tiny", replace(TINY, steps=steps))
    return cells


def test_trials_are_means_over_seeds_of_validation_images(tmp_path):
    sweep = sweep_of(tmp_path)
    done = list(search(sweep))
    table = trials(sweep)
    assert list(table.trial) == [each.number for each in done] == list(range(6))
    assert set(table.state) == {"complete"} and set(table.seeds) == {2}
    expected = (table["tiny.x"] - 1) ** 2 + 1.0 + 0.25 * 0.5  # of two ranges, of two seeds
    pd.testing.assert_series_equal(table.error, expected, check_names=False)
    assert table.error_sd.tolist() == pytest.approx([0.25 / 2**0.5] * 6)
    assert table["tiny.x"].tolist() == [each.changes["tiny.x"] for each in done]
    assert table.loc[table.error.idxmin(), "tiny.x"] == pytest.approx(1, abs=0.5)
    assert done[0].changes == {"tiny.x": 3.0}  # the settings as they are
    assert done[0].measured == {"error": [5.0, 5.25]}
    assert done[0].history == {f"seed{seed}": {"loss": [4.0] * 3} for seed in (0, 1)}


def test_search_goes_on_where_it_ended(tmp_path, ran):
    list(search(sweep_of(tmp_path, n_trials=2)))
    assert len(ran["train"]) == 4
    assert list(search(sweep_of(tmp_path, n_trials=2))) == []
    assert len(ran["train"]) == 4
    more = list(search(sweep_of(tmp_path, n_trials=3)))
    assert [each.number for each in more] == [2] and len(ran["train"]) == 6
    assert list(search(sweep_of(tmp_path, n_trials=1))) == []


class Interrupting:
    """A computation that Ctrl-C ends when it is called for the ``last`` time."""

    def __init__(self, compute, last):
        self.compute, self.left = compute, last

    def __call__(self, *arguments):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return self.compute(*arguments)


@pytest.mark.parametrize("sampler", ["RandomSampler", "TPESampler"])
def test_interrupted_search_ends_as_an_undisturbed_one(tmp_path, monkeypatch, sampler):
    asked = {
        "space": {
            "tiny.x": {"type": "float", "low": 0.0, "high": 4.0},
            "tiny.width": {"type": "int", "low": 1, "high": 99},
        },
        "sampler": {"name": sampler, **({"n_startup_trials": 3} if sampler[0] == "T" else {})},
        "n_trials": 7,
    }
    one, other = sweep_of(tmp_path / "one", asked), sweep_of(tmp_path / "other", asked)
    list(search(one))
    compute = sweeping.compute
    for trial in (1, 1, 3):  # the start, the one that was interrupted, and one behind some more
        monkeypatch.setattr(sweeping, "compute", Interrupting(compute, trial))
        with pytest.raises(KeyboardInterrupt):
            list(search(other))
        monkeypatch.setattr(sweeping, "compute", compute)
    assert 0 < len(trials(other)) < 7
    list(search(other))
    pd.testing.assert_frame_equal(trials(one), trials(other), check_exact=True)
    assert len(open_study(other).get_trials()) == 7 + 3


def test_trial_that_is_lost_before_its_first_value_draws_its_own(tmp_path, monkeypatch):
    one, other = sweep_of(tmp_path / "one"), sweep_of(tmp_path / "other")
    list(search(one))
    suggest = sweeping.suggest
    monkeypatch.setattr(sweeping, "suggest", Interrupting(suggest, 3))
    with pytest.raises(KeyboardInterrupt):
        list(search(other))
    monkeypatch.setattr(sweeping, "suggest", suggest)
    list(search(other))
    pd.testing.assert_frame_equal(trials(one), trials(other), check_exact=True)


def test_trial_that_is_lost_between_epochs_is_finished(tmp_path, monkeypatch):
    sweep = sweep_of(tmp_path, n_trials=1)
    report = sweeping._report
    monkeypatch.setattr(sweeping, "_report", Interrupting(report, 3))
    with pytest.raises(KeyboardInterrupt):
        list(search(sweep))
    monkeypatch.setattr(sweeping, "_report", report)
    (done,) = search(sweep)  # its first epochs are reported again
    lost, again = open_study(sweep).get_trials()
    assert (done.number, again.intermediate_values) == (0, dict.fromkeys((1, 2, 3), 4.0))
    assert lost.intermediate_values == dict.fromkeys((1, 2), 4.0)


def test_failed_trials_count_and_do_not_stop_the_others(tmp_path, monkeypatch, caplog):
    caplog.set_level("DEBUG", logger="posinfo")
    monkeypatch.setattr(logging.getLogger("optuna"), "propagate", True)  # to where this test looks
    sweep = queued(sweep_of(tmp_path, shaped("failing", **FOUR)), 1.0, 4.0, 2.0)
    done = {each.changes["tiny.x"]: each for each in search(sweep)}
    table = trials(sweep).set_index("tiny.x")
    assert table.state.to_dict() == {3.0: "fail", 1.0: "complete", 4.0: "fail", 2.0: "complete"}
    assert "seed0: FloatingPointError: the loss is infinite: lower x" in table.failure[4.0]
    assert done[4.0].state == "failed" and done[4.0].failure.said == table.failure[4.0]
    assert table.failure[1.0] == "" and table.seeds[4.0] == 0
    # Optuna's lines have a traceback, which belongs into the log file
    assert not [record for record in caplog.records if record.name.startswith("optuna")]
    assert "FloatingPointError" in done[4.0].failure.trace.splitlines()[-1]
    assert pd.isna(table.error[4.0]) and table.error[1.0] == 1.125
    assert list(search(sweep)) == []


RUNS = optuna.storages.RDBStorage.set_trial_state_values


def broken_after(calls, method):
    """A method of Optuna's whose database fails after some calls."""
    left = iter(range(calls))

    def called(*arguments, **more):
        if next(left, None) is None:
            raise optuna.exceptions.StorageInternalError("database or disk is full")
        return method(*arguments, **more)

    return called


def full(store, key, identity, compute):
    raise UnwritableError("the disk is full")


def run_tiny_trial_beside_a_full_disk(sweep, until):
    """As ``run_tiny_trial``; the third trial cannot be kept."""
    EXPERIMENTS.setdefault("tiny", TINY)
    add = Store.add
    begun = sum(trial.state != TrialState.WAITING for trial in open_study(sweep).get_trials())
    Store.add = add if begun < 2 else full
    try:
        return run_tiny_trial(sweep, until)
    finally:
        Store.add = add


@pytest.mark.parametrize("jobs", [1, 2])
def test_full_disk_ends_the_search_and_fails_no_trial(tmp_path, monkeypatch, jobs):
    one = sweep_of(tmp_path / "one", FOUR)
    other = sweep_of(tmp_path / "other", FOUR, parallel={"n_jobs": jobs})
    list(search(one))
    monkeypatch.setattr(sweeping, "run_trial", run_tiny_trial_beside_a_full_disk)
    for _ in range(MOST_LOSSES + 2 if jobs == 1 else 1):
        with pytest.raises(UnwritableError, match="(?s)^a trial could not be kept.*full"):
            list(search(other))
    assert set(trials(other).state) == {"complete"}
    monkeypatch.setattr(sweeping, "run_trial", run_tiny_trial)
    list(search(sweep_of(tmp_path / "other", FOUR)))  # in this process, which starts at once
    pd.testing.assert_frame_equal(trials(one), trials(other), check_exact=True)


def test_trial_is_lost_where_the_study_is_on_the_full_disk_too(tmp_path, monkeypatch):
    """Optuna cannot even say that it has failed."""
    sweep = sweep_of(tmp_path, FOUR)
    monkeypatch.setattr(Store, "add", full)
    monkeypatch.setattr(optuna.Trial, "set_user_attr", broken_after(1, optuna.Trial.set_user_attr))
    monkeypatch.setattr(optuna.storages.RDBStorage, "set_trial_state_values", broken_after(1, RUNS))
    with pytest.raises(UnwritableError, match="(?s)^a trial could not be kept.*the disk is full"):
        list(search(sweep))


@pytest.mark.parametrize(("method", "calls"), [("report", 4), ("suggest_float", 1)])
def test_study_that_cannot_be_written_fails_no_trial(tmp_path, monkeypatch, method, calls):
    one, other = sweep_of(tmp_path / "one", FOUR), sweep_of(tmp_path / "other", FOUR)
    list(search(one))
    with monkeypatch.context() as broken:
        broken.setattr(optuna.Trial, method, broken_after(calls, getattr(optuna.Trial, method)))
        with pytest.raises(UnwritableError, match="(?s)^a trial .*the study cannot be written"):
            list(search(other))
    list(search(other))
    pd.testing.assert_frame_equal(trials(one), trials(other), check_exact=True)


OF_A_STUDY = (
    "get_all_trials", "get_trial", "set_trial_intermediate_value", "set_trial_state_values",
    "set_trial_user_attr",
)  # fmt: skip


@pytest.mark.parametrize("moment", ["it begins", "its cells are computed", "it ends"])
def test_trial_is_begun_again_where_the_database_goes_away(tmp_path, monkeypatch, moment):
    """And does not come back: no call of Optuna's gets an answer any more."""
    one, other = sweep_of(tmp_path / "one", FOUR), sweep_of(tmp_path / "other", FOUR)
    list(search(one))
    away = []

    def guarded(name, method):
        def called(storage, *arguments, **more):
            begins = name == "set_trial_user_attr"
            ends = more.get("state") == TrialState.COMPLETE
            if (begins and moment == "it begins") or (ends and moment == "it ends"):
                away.append(True)
            if away:
                raise OperationalError("SELECT 1", {}, OSError("server closed"))
            return method(storage, *arguments, **more)

        return called

    def computing(*arguments):
        away.extend([True] if moment == "its cells are computed" else [])
        return compute(*arguments)

    compute = sweeping.compute
    with monkeypatch.context() as broken:
        broken.setattr(sweeping, "compute", computing)
        for name in OF_A_STUDY:
            method = getattr(optuna.storages.RDBStorage, name)
            broken.setattr(optuna.storages.RDBStorage, name, guarded(name, method))
        with pytest.raises(UnwritableError, match="(?s)begins it again: .*server closed"):
            list(search(other))
    # the next command is another process
    monkeypatch.setattr("posinfo.pipelines.sweeping_storage.is_dead", lambda process: True)
    list(search(other))
    pd.testing.assert_frame_equal(trials(one), trials(other), check_exact=True)


def test_file_that_is_missing_fails_its_trial_alone(tmp_path, monkeypatch):
    add = Store.add

    def missing(store, key, identity, compute):
        if len(trials(sweep)) == 1:
            raise FileNotFoundError("there is no mine.csv")
        return add(store, key, identity, compute)

    sweep = sweep_of(tmp_path, FOUR)
    monkeypatch.setattr(Store, "add", missing)
    list(search(sweep))
    assert trials(sweep).state.to_list() == ["complete", "fail", "complete", "complete"]


def test_undefined_metric_is_a_failed_trial(tmp_path):
    sweep = queued(sweep_of(tmp_path, shaped("absolute", n_trials=2)), 4.0)
    list(search(sweep))
    table = trials(sweep).set_index("tiny.x")
    assert table.failure[4.0] == "error is undefined in a row"
    assert table.failure[3.0] == "" and table.error[3.0] == 3.125


def test_time_is_up_before_another_trial_begins(tmp_path, ran):
    assert list(search(sweep_of(tmp_path, timeout=1e-9))) == [] and not ran["train"]
    sweep = sweep_of(tmp_path)
    assert run_trial(sweep, until=time.monotonic()) is None and not ran["train"]
    assert run_trial(sweep, until=time.monotonic() + 60).number == 0


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_trials_whose_trainings_score_worse_are_cut_short(tmp_path, direction):
    """The score of a training is the higher the better, whatever the objective is."""
    sweep = sweep_of(
        tmp_path,
        {
            **FOUR,
            "objectives": [{"metric": "error", "direction": direction}],
            "pruner": {"name": "MedianPruner", "n_startup_trials": 1, "n_warmup_steps": 2},
        },
    )
    done = list(search(queued(sweep, 1.0, 4.0, 2.0)))
    assert [each.changes["tiny.x"] for each in done] == [3.0, 1.0, 4.0, 2.0]
    assert [each.state for each in done] == ["complete", "complete", "pruned", "complete"]
    values = [trial.intermediate_values for trial in open_study(sweep).get_trials()]
    assert values[0] == dict.fromkeys((1, 2, 3), 4.0 if direction == "minimize" else -4.0)
    assert list(values[2]) == [1, 2]  # the warm-up, and the epoch that decided
    assert trials(sweep).state[2] == "pruned" and trials(sweep).failure[2] == ""


def test_without_a_pruner_no_trial_is_cut_short(tmp_path):
    sweep = queued(sweep_of(tmp_path, FOUR), 1.0, 4.0, 2.0)
    assert {each.state for each in search(sweep)} == {"complete"}


def test_several_objectives_are_not_reported_by_epoch(tmp_path):
    objectives = [{"metric": m, "direction": "minimize"} for m in ("error", "size")]
    sweep = sweep_of(tmp_path, {"objectives": objectives, "n_trials": 2})
    assert [each.state for each in search(sweep)] == ["complete"] * 2
    first = open_study(sweep).get_trials()[0]
    assert (first.values, first.intermediate_values) == ([5.125, 3.0], {})


def test_results_of_the_store_are_not_computed_again(tmp_path, ran):
    sweep, again = sweep_of(tmp_path, FOUR), sweep_of(tmp_path, FOUR, study="again")
    list(search(sweep))
    assert [len(cells) for cells in ran.values()] == [8, 8]
    assert [each.state for each in search(again)] == ["complete"] * 4
    assert [len(cells) for cells in ran.values()] == [8, 8]
    assert trials(again).error.tolist() == trials(sweep).error.tolist()


def test_test_images_are_looked_at_for_the_best_and_the_start_once(tmp_path, ran):
    sweep = queued(sweep_of(tmp_path, FOUR), 4.0, 1.0, 2.0)
    list(search(sweep))
    assert {cell.split for cell in ran["evaluate"]} == {"validation"}
    assert trials(sweep).error.tolist() == [5.125, 10.125, 1.125, 2.125]
    for _ in range(2):
        found = make_report(open_study(sweep), sweep).best
        on_test = [cell.x for cell in ran["evaluate"] if cell.split == "test"]
        assert sorted(on_test) == [1.0, 1.0, 3.0, 3.0]
    assert found.groupby(["trial", "split"]).error.mean().to_dict() == {
        (0, "validation"): 5.125, (0, "test"): 105.125,
        (2, "validation"): 1.125, (2, "test"): 101.125,
    }  # fmt: skip
    assert len(ran["train"]) == 8


def test_only_rows_that_count_are_averaged_by_seed():
    results = {
        "one": Result(
            rows=pd.DataFrame({"seed": [1, 1, 1], "kind": ["a", "a", "b"], "v": [1, 3, 9.0]})
        ),
        "two": Result(rows=pd.DataFrame({"seed": [0], "kind": ["a"], "v": [5.0]})),
    }

    def objective(**where):
        return Objective(metric="v", direction="minimize", where=where)

    assert by_seed(results, objective(kind="a")) == [5.0, 2.0]
    assert by_seed(results, objective(kind="b", seed=1)) == [9.0]
    with pytest.raises(ValueError, match=r"^v has no rows where \{'kind': 'c'\}$"):
        by_seed(results, objective(kind="c"))
    with pytest.raises(ValueError) as raised:
        by_seed(results, objective(kinds="a"))
    assert str(raised.value) == (
        "sweep: objectives: where: column must be one of seed, kind, v; got 'kinds' "
        "(did you mean 'kind'?)"
    )


def test_objectives_of_some_rows_have_their_names(tmp_path):
    objectives = [
        {"metric": "error", "direction": "minimize", "where": {"range": name}}
        for name in ("near", "far")
    ]
    sweep = sweep_of(tmp_path, {"objectives": objectives, "n_trials": 1})
    (done,) = search(sweep)
    assert done.measured == {"error_near": [4.0, 4.25], "error_far": [6.0, 6.25]}


def test_two_processes_make_as_many_trials_as_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(sweeping, "run_trial", run_tiny_trial)
    sweep = sweep_of(tmp_path, {"n_trials": 5}, parallel={"n_jobs": 2})
    done = list(search(sweep))
    assert sorted(each.number for each in done) == list(range(5))
    assert len({each.changes["tiny.x"] for each in done}) == 5
    names = {trial.user_attrs[PROCESS] for trial in open_study(sweep).get_trials()}
    assert this_process() not in names and len(open_study(sweep).get_trials()) == 5
    alone = sweep_of(tmp_path / "alone", {"n_trials": 5})
    list(search(alone))
    pd.testing.assert_frame_equal(trials(sweep), trials(alone), check_exact=True)


def test_no_trial_is_begun_beside_those_that_others_compute(tmp_path):
    sweep = sweep_of(tmp_path, {"n_trials": 2})
    first = open_study(sweep).ask()  # the start, by a process that lives
    first.set_user_attr(PROCESS, this_process())
    assert run_trial(sweep).number == 1
    assert run_trial(sweep) is None


def test_search_waits_for_what_others_compute(tmp_path, monkeypatch):
    sweep = sweep_of(tmp_path, {"n_trials": 1})
    study = open_study(sweep)
    first = study.ask()
    first.set_user_attr(PROCESS, this_process())
    waits = []

    def wait(seconds):
        waits.append(seconds)
        study.tell(first, 1.0)

    monkeypatch.setattr(sweeping.time, "sleep", wait)
    assert list(search(sweep)) == [] and waits == [sweeping.WAIT]


def test_trial_without_a_name_is_ended_after_two_heartbeats_of_our_clock(tmp_path, monkeypatch):
    sweep = sweep_of(tmp_path, {"n_trials": 1}, heartbeat=60)
    study = open_study(sweep)
    study.ask()  # of a process that died at once
    clock = [1000.0]

    def wait(seconds):
        clock[0] += 50
        assert clock[0] < 2000

    monkeypatch.setattr(sweeping.time, "sleep", wait)
    monkeypatch.setattr(sweeping.time, "monotonic", lambda: clock[0])
    (done,) = search(sweep)
    assert clock[0] == 1200  # after 100 s it may still be about to give one
    assert (done.number, done.changes) == (0, {"tiny.x": 3.0})
    assert [trial.state for trial in study.get_trials()] == [TrialState.FAIL, TrialState.COMPLETE]


@pytest.mark.parametrize(
    ("search_changes", "message"),
    [
        ({"sampler": {"name": "TPESampler", "n_startup": 1}}, "sweep: sampler: .*'n_startup'"),
        ({"pruner": {"name": "MedianPruner", "warmup": 1}}, "sweep: pruner: .*'warmup'"),
        (
            {"space": {"tiny.y": searched.SEARCH["space"]["tiny.x"]}},
            "sweep: space: setting must be one of",
        ),
    ],
)
def test_search_that_cannot_be_is_refused_before_there_is_a_study(
    tmp_path, search_changes, message
):
    with pytest.raises(ValueError, match=message):
        prepare(sweep_of(tmp_path, search_changes))
    assert not (tmp_path / "optuna.db").exists()


def test_what_is_prepared_has_a_study_and_no_trial(tmp_path, ran):
    sweep = sweep_of(tmp_path)
    prepare(sweep)
    assert (tmp_path / "optuna.db").exists() and not ran["train"]
    assert [trial.state for trial in open_study(sweep).get_trials()] == [TrialState.WAITING]


def test_training_is_done_in_full_for_every_seed(tmp_path, ran):
    list(search(sweep_of(tmp_path, {"seeds_per_trial": 3}, n_trials=1)))
    assert [cell.seed for cell in ran["train"]] == [0, 1, 2]
    assert searched.SEARCH["seeds_per_trial"] == 2
