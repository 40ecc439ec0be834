import pytest
from pydantic import ValidationError

from posinfo.choices import problems
from posinfo.experiments import EXPERIMENTS
from posinfo.pipelines.requests import forget_plans
from posinfo.pipelines.sweep_settings import (
    TEST,
    VALIDATION,
    Search,
    Sweep,
    SweepParameters,
    require_address,
)
from tests.pipelines.searched import SEARCH, parameters, sweep_of

pytestmark = pytest.mark.usefixtures("tiny")

POSTGRES = "postgresql+psycopg://"
PASSWORD = (
    "sweep.storage has a password in it, which logs and lists of processes would show: put it in "
    "PGPASSWORD, ~/.pgpass, or `environment` in conf/local/credentials.yml"
)
NO_FILE = "sweep.storage names no file: sqlite:///optuna.db does"
NO_ADDRESS = "sweep.storage is no address: sqlite:///optuna.db is one"


@pytest.mark.parametrize(
    "address",
    [
        "sqlite:///optuna.db",
        "sqlite:////data/optuna.db",
        f"{POSTGRES}host/db",
        f"{POSTGRES}me@host:5432/db",
        f"{POSTGRES}/db?host=a&user=me",
    ],
)
def test_addresses_without_a_password_pass(address):
    assert require_address(address) == address


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (f"{POSTGRES}me:hunter2@host/db", PASSWORD),
        (f"{POSTGRES}me:@host/db", PASSWORD),
        (f"{POSTGRES}host/db?password=hunter2", PASSWORD),
        (f"{POSTGRES}host/db?sslpassword=hunter2", PASSWORD),
        (f"{POSTGRES}me:hunter2/db", NO_ADDRESS),
        ("hunter2", NO_ADDRESS),
        ("sqlite://", NO_FILE),
        ("sqlite:///:memory:", NO_FILE),
        (
            "postgresql://host/db",
            "sweep.storage: scheme must be one of sqlite, postgresql+psycopg; got 'postgresql' "
            "(did you mean 'postgresql+psycopg'?)",
        ),
        (
            "mysql://me@host/db",
            "sweep.storage: scheme must be one of sqlite, postgresql+psycopg; got 'mysql'",
        ),
    ],
)
def test_address_that_is_refused_is_not_repeated(address, message):
    with pytest.raises(ValueError) as raised:
        require_address(address)
    assert str(raised.value) == message
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    "changes",
    [{}, {"heartbeat": None}, {"seed": "zero"}, {"studdy": "x"}, {"storage": ["hunter2"]}],
)
def test_no_error_of_the_section_shows_a_password(tmp_path, changes):
    values = {
        "experiment": "tiny", "study": None, "storage": f"{POSTGRES}me:hunter2@host/db",
        "n_trials": None, "timeout": None, "seed": 0, "heartbeat": 60, "searches": {"tiny": SEARCH},
    } | changes  # fmt: skip
    if changes.get("heartbeat", 1) is None:
        del values["heartbeat"]
    with pytest.raises(ValidationError) as raised:
        SweepParameters.model_validate(values)
    assert "hunter2" not in str(raised.value) + problems(raised.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampler": {"name": "TPE"}}, r"sampler.name must be one of TPESampler, RandomSampler"),
        ({"pruner": {"name": "Median"}}, r"pruner.name must be .*did you mean 'MedianPruner'"),
        ({"n_trials": 0}, "n_trials\n  Input should be greater than or equal to 1"),
        ({"space": {}}, "space\n  Dictionary should have at least 1 item"),
        ({"objectives": []}, "objectives\n  Tuple should have at least 1 item"),
        (
            {"objectives": [{"metric": "error", "direction": "lower"}]},
            "Input should be 'maximize' or 'minimize'",
        ),
        (
            {"objectives": [{"metric": "error", "direction": d} for d in ("minimize", "maximize")]},
            "each value may stand once; repeated: error",
        ),
        (
            {
                "objectives": [{"metric": m, "direction": "minimize"} for m in ("error", "size")],
                "pruner": {"name": "NopPruner"},
            },
            "a pruner needs one objective: Optuna cannot cut short with several",
        ),
    ],
)
def test_impossible_searches_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        Search.model_validate({**SEARCH, **changes})


def test_experiment_without_a_search_is_refused(tmp_path):
    with pytest.raises(ValidationError, match="experiment must be one of tiny; got 'posenet'"):
        sweep_of(tmp_path, experiment="posenet")
    with pytest.raises(ValidationError, match="sweep.experiment must be one of .*tiny; got 'tony'"):
        sweep_of(tmp_path, experiment="tony")


def test_number_of_trials_of_the_command_line_is_taken(tmp_path):
    assert sweep_of(tmp_path).settings.trials == 6
    assert sweep_of(tmp_path, n_trials=9).settings.trials == 9


def refused(tmp_path, search=None, parallel=None, **settings):
    """What the check says; there is no study then."""
    with pytest.raises(ValueError) as raised:
        sweep_of(tmp_path, search, parallel, **settings).check()
    assert not (tmp_path / "optuna.db").exists()
    return str(raised.value)


def test_experiment_that_measures_on_test_images_alone_is_refused(tmp_path, monkeypatch):
    bare = EXPERIMENTS["tiny"].__class__(
        "bare", EXPERIMENTS["tiny"].settings, EXPERIMENTS["tiny"].steps, EXPERIMENTS["tiny"].report
    )
    monkeypatch.setitem(EXPERIMENTS, "bare", bare)
    there = ", ".join(name for name, each in EXPERIMENTS.items() if each.objectives)
    assert "tiny" in there and "posenet" in there and "bare" not in there
    assert refused(tmp_path, experiment="bare", searches={"bare": SEARCH}) == (
        "bare measures on test images alone, where no settings are chosen: a sweep takes " + there
    )


def test_unknown_metric_is_refused(tmp_path):
    objectives = [{"metric": "eror", "direction": "minimize"}]
    assert refused(tmp_path, {"objectives": objectives}) == (
        "sweep: metric of tiny must be one of error, size; got 'eror' (did you mean 'error'?)"
    )


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-1.0, 4.0, "tiny.x = -1.0: tiny.x: Input should be greater than or equal to 0; got -1.0"),
        (0.0, 5.0, "tiny.x = 5.0: tiny.x: Input should be less than or equal to 4; got 5.0"),
    ],
)
def test_ends_of_a_range_that_the_experiment_refuses_are_refused(tmp_path, low, high, said):
    space = {"tiny.x": {"type": "float", "low": low, "high": high}}
    assert refused(tmp_path, {"space": space}) == f"sweep: {said}"


def test_choice_that_the_experiment_refuses_is_refused(tmp_path):
    space = {"tiny.shape": {"type": "categorical", "choices": ["square", "round"]}}
    assert refused(tmp_path, {"space": space}).startswith(
        "sweep: tiny.shape = round: tiny.shape: Input should be 'square', 'absolute', "
    )


def test_settings_of_all_trials_that_the_experiment_refuses_are_refused(tmp_path):
    assert refused(tmp_path, {"settings": {"tiny.epochs": "many"}}).startswith(
        "sweep: the settings of all trials: tiny.epochs: Input should be a valid integer"
    )


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({"space": {"tiny.xx": SEARCH["space"]["tiny.x"]}}, "sweep: space: setting"),
        ({"settings": {"tiny.xx": 1}}, "sweep: setting"),
    ],
)
def test_unknown_setting_is_refused_with_the_nearest(tmp_path, search, said):
    message = refused(tmp_path, search)
    assert message.startswith(f"{said} must be one of ")
    assert message.endswith("; got 'tiny.xx' (did you mean 'tiny.x'?)")


def test_processes_that_there_cannot_be_are_refused(tmp_path):
    assert refused(tmp_path, parallel={"n_jobs": 2, "gpus_per_job": 1}) == (
        "parallel.gpus_per_job gives each process a GPU: it needs the device `cuda` without a "
        "number; got cpu"
    )


def test_what_can_be_searched_passes(tmp_path):
    sweep_of(tmp_path, parallel={"n_jobs": 2}).check()


def test_trials_have_the_settings_of_the_search_and_their_own(tmp_path):
    sweep = sweep_of(tmp_path, {"settings": {"tiny.epochs": 7}, "seeds_per_trial": 3})
    request = sweep.request({"tiny.x": 0.5, "tiny.training": {"lr": 9}}, VALIDATION)
    tiny = request.settings.tiny
    assert (tiny.x, tiny.epochs, tiny.seeds, tiny.split) == (0.5, 7, (0, 1, 2), "validation")
    assert tiny.training == {"lr": 9}
    assert sweep.request({}, TEST).settings.tiny.split == "test"
    assert parameters(tmp_path)["tiny"]["x"] == 3.0 == sweep.parameters["tiny"]["x"]


def test_a_trial_is_computed_by_the_process_that_has_it(tmp_path):
    sweep = sweep_of(tmp_path, parallel={"n_jobs": 2, "threads_per_job": 3})
    parallel = sweep.request({}, VALIDATION).machine.parallel
    assert (parallel.n_jobs, parallel.threads) == (1, 3)


def test_name_of_a_study_follows_what_is_searched(tmp_path):
    def name(search=None, **settings):
        return sweep_of(tmp_path, search, **settings).study

    assert name().startswith("tiny-") and len(name()) == len("tiny-") + 8
    same = ({"n_trials": 99}, {"sampler": {"name": "TPESampler"}})
    assert {name(changes) for changes in same} == {name(n_trials=5), name(seed=1)} == {name()}
    wider = {"space": {"tiny.x": {"type": "float", "low": 0.0, "high": 3.0}}}
    others = (wider, {"seeds_per_trial": 3}, {"settings": {"tiny.epochs": 9}})
    assert len({name(), *map(name, others)}) == 4
    assert name(study="mine") == "mine"


def test_name_of_a_study_does_not_follow_the_code(tmp_path, monkeypatch):
    before = sweep_of(tmp_path).study
    monkeypatch.setattr("posinfo.plan.code_key", lambda modules: "another")
    forget_plans()
    sweep = sweep_of(tmp_path)
    assert sweep.study == before and sweep.definition["code"]["train"] == "another"


def test_definition_has_precision_code_and_packages(tmp_path):
    found = sweep_of(tmp_path).definition
    assert found["precision"] == {"device": "cpu", "dtype": "float32"}
    assert set(found["code"]) == {"train", "evaluate"} and "torch" in found["packages"]
    assert Sweep.of(sweep_of(tmp_path).settings, parameters(tmp_path)).definition == found
