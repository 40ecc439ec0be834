import json
import subprocess
import sys

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from posinfo.pipelines.processes import this_process
from posinfo.pipelines.sweeping_storage import (
    DEFINITION,
    ERROR,
    MOST_LOSSES,
    PROCESS,
    STARTED,
    ended,
    number_of,
    open_storage,
    open_study,
    take_up,
)
from tests.pipelines.opened import opening
from tests.pipelines.searched import sweep_of

pytestmark = [
    pytest.mark.usefixtures("tiny"),
    pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed"),
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]


def refused(sweep):
    with pytest.raises(ValueError) as raised:
        open_study(sweep)
    return str(raised.value)


AGAIN = (
    "name a new one with sweep.study, or search what was searched, with the code and packages of "
    "then"
)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"space": {"tiny.x": {"type": "float", "low": 0.5, "high": 4.0}}}, "space.tiny.x.low"),
        ({"seeds_per_trial": 3}, "seeds_per_trial, settings.tiny.seeds"),
        ({"objectives": [{"metric": "size", "direction": "minimize"}]}, "objectives"),
        ({"settings": {"tiny.shape": "absolute"}}, "settings.tiny.shape"),
    ],
)
def test_study_of_another_search_is_refused(tmp_path, changes, names):
    open_study(sweep_of(tmp_path, study="mine"))
    open_study(sweep_of(tmp_path, study="mine"))
    assert refused(sweep_of(tmp_path, changes, study="mine")) == (
        f"the study 'mine' is of another search ({names}): {AGAIN}"
    )


@pytest.mark.parametrize("part", ["code", "packages"])
def test_study_of_other_code_or_packages_is_refused(tmp_path, part):
    sweep = sweep_of(tmp_path)
    study = open_study(sweep)
    known = json.loads(study.user_attrs[DEFINITION])
    name = "train" if part == "code" else "torch"
    known[part][name] = "another"
    study.set_user_attr(DEFINITION, json.dumps(known))
    assert refused(sweep) == (
        f"the study {sweep.study!r} is of another search ({part}.{name}): {AGAIN}"
    )


def test_study_that_is_not_of_this_project_is_refused(tmp_path):
    sweep = sweep_of(tmp_path, study="mine")
    study = optuna.create_study(storage=open_storage(sweep.settings.storage, 60), study_name="mine")
    study.add_trial(optuna.create_trial(value=1.0))
    message = refused(sweep)
    assert message.startswith("the study 'mine' was not made by a sweep of this project (code.")
    assert message.endswith(AGAIN)


def test_study_that_a_killed_process_has_half_made_is_finished(tmp_path):
    sweep = sweep_of(tmp_path, study="mine")
    optuna.create_study(storage=open_storage(sweep.settings.storage, 60), study_name="mine")
    (start,) = open_study(sweep).get_trials()
    assert start.system_attrs["fixed_params"] == {"tiny.x": 3.0}
    assert open_study(sweep).get_trials() == [start]


def test_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "optuna.db").write_text("not a database " * 100)
    message = refused(sweep_of(tmp_path))
    assert message == (
        f"Optuna cannot use sweep.storage sqlite:///{tmp_path}/optuna.db: "
        "(sqlite3.DatabaseError) file is not a database. Is it a study's file, can it be "
        "written, is the disk full? Trials that have ended are kept"
    )


@pytest.mark.parametrize(
    ("space", "start"),
    [
        ({"tiny.x": {"type": "float", "low": 0.0, "high": 4.0}}, [{"tiny.x": 3.0}]),
        ({"tiny.x": {"type": "float", "low": 0.0, "high": 2.0}}, []),
        (
            {
                "tiny.x": {"type": "float", "low": 0.0, "high": 4.0},
                "tiny.width": {"type": "categorical", "choices": [1, 2]},
            },
            [],
        ),
        ({"tiny.training": {"type": "categorical", "choices": {"a": {"lr": 0.1}}}}, []),
    ],
)
def test_first_trial_is_the_settings_as_they_are_if_they_lie_in_the_space(tmp_path, space, start):
    study = open_study(sweep_of(tmp_path, {"space": space}))
    open_study(sweep_of(tmp_path, {"space": space}))  # again, it adds nothing
    trials = study.get_trials()
    assert [trial.system_attrs["fixed_params"] for trial in trials] == start
    assert all(STARTED in trial.user_attrs for trial in trials)
    assert {trial.state for trial in trials} <= {TrialState.WAITING}


def test_processes_that_open_at_once_make_one_study(tmp_path):
    said = [tmp_path / name for name in ("first", "second")]
    sweep = sweep_of(tmp_path)
    both = [opening([sweep.settings.storage], file) for file in said]
    assert [each.wait(timeout=200) for each in both] == [0, 0], [file.read_text() for file in said]
    assert [file.read_text() for file in said] == [f"{sweep.study}\n"] * 2
    storage = open_storage(sweep.settings.storage, 60)
    names = [study.study_name for study in optuna.get_all_study_summaries(storage)]
    assert names == [sweep.study] and len(open_study(sweep).get_trials()) == 1


def test_sign_of_life_that_cannot_be_written_ends_no_thread(tmp_path, monkeypatch, caplog):
    def away(storage, trial_id):
        raise OperationalError("UPDATE", {}, OSError("server closed"))

    storage = open_storage(f"sqlite:///{tmp_path}/optuna.db", 60)
    monkeypatch.setattr(optuna.storages.RDBStorage, "record_heartbeat", away)
    with caplog.at_level("DEBUG", "posinfo"):
        storage.record_heartbeat(0)
    assert "server closed" in caplog.text


@pytest.fixture
def sweep(tmp_path):
    return sweep_of(tmp_path, heartbeat=3600)


@pytest.fixture
def study(sweep):
    return open_study(sweep)


@pytest.fixture
def dead():
    """The name of a process of this host that is no more."""
    script = "from posinfo.pipelines.processes import this_process; print(this_process(), end='')"
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout


def begun(study, process):
    """A trial that a process computes."""
    trial = study.ask()
    trial.suggest_float("tiny.x", 0, 4)
    trial.report(0.5, 1)
    if process:
        trial.set_user_attr(PROCESS, process)
    return trial


def taken_up(study, sweep):
    return [(t.number, t.state) for t in take_up(study, sweep.settings.storage)]


def test_trial_of_a_dead_process_is_queued_again(study, sweep, dead):
    begun(study, dead)
    assert taken_up(study, sweep) == [(1, TrialState.WAITING)]
    assert taken_up(study, sweep) == [(1, TrialState.WAITING)]  # once
    lost, again = study.get_trials()
    assert lost.state == TrialState.FAIL and lost.user_attrs[PROCESS] == dead
    assert again.params == lost.params == {"tiny.x": 3.0}
    assert again.intermediate_values == {1: 0.5}
    assert PROCESS not in again.user_attrs and STARTED in again.user_attrs
    assert ended(study.get_trials()) == []


@pytest.mark.parametrize("process", ["elsewhere 1 0", "", None])
def test_trial_of_a_process_that_may_live_is_left_to_it(study, sweep, process):
    begun(study, this_process() if process is None else process)
    assert taken_up(study, sweep) == [(0, TrialState.RUNNING)]


def test_trial_that_is_lost_too_often_has_ended(study, sweep, dead):
    for number in range(MOST_LOSSES + 1):
        assert begun(study, dead).number == number
        assert ended(study.get_trials()) == []
        open_trials = taken_up(study, sweep)
    assert open_trials == []
    (last,) = ended(study.get_trials())
    assert (last.number, last.state) == (MOST_LOSSES, TrialState.FAIL)
    assert number_of(last, study.get_trials()) == 0


def test_trial_that_failed_by_an_error_has_ended(study, sweep):
    trial = begun(study, this_process())
    trial.set_user_attr(ERROR, "the loss is infinite")
    study.tell(trial, state=TrialState.FAIL)
    assert taken_up(study, sweep) == []
    assert [each.number for each in ended(study.get_trials())] == [0]


def test_silent_trial_of_another_host_is_queued_again(tmp_path):
    sweep = sweep_of(tmp_path, heartbeat=1)
    study = open_study(sweep)
    trial = begun(study, "elsewhere 1 0")
    study._storage.record_heartbeat(trial._trial_id)
    assert taken_up(study, sweep) == [(0, TrialState.RUNNING)]
    with study._storage._backend.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE trial_heartbeats SET heartbeat = datetime('now', '-10 seconds')"
        )
    assert taken_up(study, sweep) == [(1, TrialState.WAITING)]


def test_numbers_are_those_without_losses(study, sweep, dead):
    begun(study, dead)
    taken_up(study, sweep)
    begun(study, dead)  # the first one again
    taken_up(study, sweep)
    begun(study, this_process())
    begun(study, this_process())
    trials = study.get_trials()
    assert [number_of(trial, trials) for trial in trials] == [0, 0, 0, 1]
