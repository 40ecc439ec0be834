import optuna
import pytest
from optuna.pruners import MedianPruner, NopPruner
from optuna.trial import FixedTrial

from posinfo.pipelines.sweep_settings import PRUNERS, SAMPLERS, Search
from posinfo.pipelines.sweeping_samplers import NumberedSampler, make_pruner, suggest, values_of
from tests.pipelines.searched import SEARCH

X = {"type": "float", "low": 0.0, "high": 4.0}
GROUPS = {
    "tiny.training": {"type": "categorical", "choices": {"slow": {"lr": 0.1}, "fast": {"lr": 1}}},
    "tiny.x": {**X, "when": {"tiny.training": "fast"}},
    "tiny.width": {"type": "int", "low": 2, "high": 8, "step": 3, "when": {"tiny.x": [4.0]}},
}


def search_of(**changes):
    return Search.model_validate({**SEARCH, **changes})


def drawn(search, seed=0, numbers=6):
    """Values of the first trials, each asked of another process's sampler."""
    study = optuna.create_study()
    for _ in range(numbers):
        study.sampler = NumberedSampler(search, seed)
        study.optimize(lambda trial: suggest(trial, search.space)["tiny.x"], n_trials=1)
    return [trial.params["tiny.x"] for trial in study.trials]


def test_values_have_the_ranges_asked_for():
    space = search_of(
        space={
            "tiny.x": {**X, "low": 0.5, "step": 0.5},
            "tiny.training.lr": {"type": "float", "low": 0.01, "high": 1, "log": True},
            "tiny.width": {"type": "int", "low": 1, "high": 64, "log": True},
            "tiny.epochs": {"type": "int", "low": 1, "high": 9},
            "tiny.shape": {"type": "categorical", "choices": ["square", "absolute"]},
        }
    ).space
    study = optuna.create_study()
    trial = study.ask()
    assert list(suggest(trial, space)) == list(space)
    assert study.trials[0].distributions == {
        "tiny.x": optuna.distributions.FloatDistribution(0.5, 4, step=0.5),
        "tiny.training.lr": optuna.distributions.FloatDistribution(0.01, 1, log=True),
        "tiny.width": optuna.distributions.IntDistribution(1, 64, log=True),
        "tiny.epochs": optuna.distributions.IntDistribution(1, 9),
        "tiny.shape": optuna.distributions.CategoricalDistribution(["square", "absolute"]),
    }


@pytest.mark.parametrize(
    ("chosen", "values"),
    [
        ({"tiny.training": "slow"}, {"tiny.training": {"lr": 0.1}}),
        (
            {"tiny.training": "fast", "tiny.x": 2.0},
            {"tiny.training": {"lr": 1}, "tiny.x": 2.0},
        ),
        (
            {"tiny.training": "fast", "tiny.x": 4.0, "tiny.width": 5},
            {"tiny.training": {"lr": 1}, "tiny.x": 4.0, "tiny.width": 5},
        ),
    ],
)
def test_groups_are_their_settings_and_conditions_are_met(chosen, values):
    space = search_of(space=GROUPS).space
    everything = {"tiny.training": "slow", "tiny.x": 1.0, "tiny.width": 2, **chosen}
    assert suggest(FixedTrial(everything), space) == values
    distributions = {
        "tiny.training": optuna.distributions.CategoricalDistribution(["slow", "fast"]),
        "tiny.x": optuna.distributions.FloatDistribution(0, 4),
        "tiny.width": optuna.distributions.IntDistribution(2, 8, step=3),
    }
    ended = optuna.create_trial(
        value=1.0, params=chosen, distributions={name: distributions[name] for name in chosen}
    )
    assert values_of(ended, space) == values


def test_each_trial_draws_with_a_seed_of_its_own():
    values = drawn(search_of())
    assert len(set(values)) == 6
    assert values == drawn(search_of())
    assert drawn(search_of(), seed=1)[:5] == values[1:]  # seeds are those of search and trial


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_samplers_of_one_sequence_go_on_in_it():
    found = drawn(search_of(sampler={"name": "QMCSampler"}), seed=3)
    study = optuna.create_study(sampler=optuna.samplers.QMCSampler(seed=3))
    study.optimize(lambda trial: trial.suggest_float("tiny.x", 0, 4), n_trials=6)
    assert found[1:] == [trial.params["tiny.x"] for trial in study.trials][1:]
    assert len(set(found)) == 6


def test_grid_is_gone_through_beside_trials_of_other_values():
    grid = {"tiny.x": [1.0, 2.0]}
    search = search_of(sampler={"name": "GridSampler", "search_space": grid})
    study = optuna.create_study()
    study.enqueue_trial({"tiny.x": 3.0})
    for _ in range(3):
        study.sampler = NumberedSampler(search, 0)
        study.optimize(lambda trial: suggest(trial, search.space)["tiny.x"], n_trials=1)
    assert sorted(trial.params["tiny.x"] for trial in study.trials) == [1.0, 2.0, 3.0]


def test_seed_and_arguments_of_the_configuration_reach_optuna():
    numbered = NumberedSampler(search_of(sampler={"name": "TPESampler", "n_startup_trials": 3}), 0)
    assert numbered._sampler._n_startup_trials == 3
    seeded = search_of(sampler={"name": "RandomSampler", "seed": 5})
    assert drawn(seeded, numbers=1) == drawn(search_of(), seed=5, numbers=1)


def test_every_name_is_one_of_optunas():
    assert all(
        issubclass(getattr(optuna.samplers, n), optuna.samplers.BaseSampler) for n in SAMPLERS
    )
    assert all(issubclass(getattr(optuna.pruners, n), optuna.pruners.BasePruner) for n in PRUNERS)


def test_pruner_has_the_arguments_of_the_configuration():
    assert isinstance(make_pruner(search_of()), NopPruner)
    pruner = make_pruner(search_of(pruner={"name": "MedianPruner", "n_startup_trials": 7}))
    assert isinstance(pruner, MedianPruner) and pruner._n_startup_trials == 7


@pytest.mark.parametrize(("kind", "name"), [("sampler", "TPESampler"), ("pruner", "MedianPruner")])
def test_arguments_that_optuna_does_not_know_are_refused(kind, name):
    search = search_of(**{kind: {"name": name, "startup": 1}})
    with pytest.raises(
        ValueError, match=f"^sweep: {kind}: .*unexpected keyword argument 'startup'"
    ):
        make_pruner(search) if kind == "pruner" else NumberedSampler(search, 0)
