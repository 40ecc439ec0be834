"""How a trial gets its settings: Optuna's samplers, pruners and what they are asked."""

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import BaseTrial, FrozenTrial, TrialState

from posinfo.pipelines.search_space import Choice, FloatRange, Space
from posinfo.pipelines.sweep_settings import Search
from posinfo.pipelines.sweeping_storage import number_of

ONE_SEQUENCE = ("QMCSampler", "GridSampler", "BruteForceSampler")  # of which trials take turns


def suggest(trial: BaseTrial, space: Space) -> dict[str, Any]:
    """Values of the settings whose conditions are met, by dotted name."""
    chosen: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for name, dimension in space.items():
        if not dimension.is_active(chosen):
            continue
        if isinstance(dimension, Choice):
            chosen[name] = trial.suggest_categorical(name, dimension.names)
            values[name] = dimension.value_of(chosen[name])
        elif isinstance(dimension, FloatRange):
            low, high, step, log_scale = (
                dimension.low,
                dimension.high,
                dimension.step,
                dimension.log,
            )
            chosen[name] = trial.suggest_float(name, low, high, step=step, log=log_scale)
            values[name] = chosen[name]
        else:
            low, high, log_scale = dimension.low, dimension.high, dimension.log
            chosen[name] = trial.suggest_int(
                name, low, high, step=dimension.step or 1, log=log_scale
            )
            values[name] = chosen[name]
    return values


def values_of(trial: FrozenTrial, space: Space) -> dict[str, Any]:
    """The same of a trial that has ended."""
    return suggest(optuna.trial.FixedTrial(trial.params), space)


class NumberedSampler(BaseSampler):
    """A sampler whose seed is that of the search and the number of the trial.

    So processes that search one study draw different values, and a search that was interrupted
    goes on with those that it would have drawn. Samplers whose trials take turns in one sequence
    have the seed of the search.
    """

    def __init__(self, search: Search, seed: int) -> None:
        self._search, self._seed = search, seed
        self._sampler = self._made(0)

    def _made(self, number: int) -> BaseSampler:
        arguments = self._search.sampler.model_dump(exclude={"name"})
        name = self._search.sampler.name
        seed = self._seed if name in ONE_SEQUENCE else self._seed + number
        try:
            return getattr(optuna.samplers, name)(**{"seed": seed, **arguments})
        except TypeError as error:
            raise ValueError(f"sweep: sampler: {error}") from error

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Seed the sampler of this trial."""
        self._sampler = self._made(number_of(trial, study.get_trials(deepcopy=False)))
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, Any]:
        """See Optuna."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, Any]
    ) -> dict[str, Any]:
        """See Optuna."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        """See Optuna."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """See Optuna, whose grid ends a study, and fails at a trial that is none of its own."""
        if self._search.sampler.name != "GridSampler":
            self._sampler.after_trial(study, trial, state, values)


def make_pruner(search: Search) -> optuna.pruners.BasePruner:
    """The pruner of a search; a ``ValueError`` if Optuna does not take its arguments."""
    if search.pruner is None:
        return optuna.pruners.NopPruner()
    try:
        arguments = search.pruner.model_dump(exclude={"name"})
        return getattr(optuna.pruners, search.pruner.name)(**arguments)
    except TypeError as error:
        raise ValueError(f"sweep: pruner: {error}") from error
