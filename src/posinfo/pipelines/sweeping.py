"""Optuna's trials: an experiment's cells with changed settings, measured on validation images."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean
from typing import Any

import optuna
import pandas as pd
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from posinfo.choices import check
from posinfo.experiment import Result
from posinfo.networks.training.devices import Parallel
from posinfo.pipelines.console import said_by
from posinfo.pipelines.processes import this_process
from posinfo.pipelines.requests import Request, forget_plans
from posinfo.pipelines.runner import CellsFailedError, run_step
from posinfo.pipelines.search_space import Changes, Choice, FloatRange, IntRange, Space
from posinfo.pipelines.sweep_settings import VALIDATION, Objective, Search, Sweep
from posinfo.pipelines.sweeping_storage import ERROR, PROCESS, ended, number_of, open_study, take_up
from posinfo.pipelines.workers import spread
from posinfo.work import Stopped, silent

BY_SEED = "by_seed"
WAIT = 2.0  # seconds between looks at what other processes compute
ONE_SEQUENCE = ("QMCSampler", "GridSampler", "BruteForceSampler")  # of which trials take turns

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Done:
    """A trial that has ended here, in what goes from process to process.

    Attributes:
        number: of the trial.
        state: complete, pruned or failed.
        seconds: that it took.
        changes: values by dotted name.
        measured: for each metric, the value of each seed.
        history: of each cell by label: name of a quantity to its value in each epoch.
        error: what went wrong; empty: nothing did.
    """

    number: int
    state: str
    seconds: float
    changes: Changes
    measured: Mapping[str, Sequence[float]] = field(default_factory=dict)
    history: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    error: str = ""


def search(sweep: Sweep) -> Iterator[Done]:
    """Run trials until the study has as many as asked for, or time is up.

    Several processes, on any hosts, may search one study at the same time; each goes on until all
    trials have ended, and begins again those whose process was lost.

    Yields:
        The trials that end here.

    Raises:
        ValueError: the storage cannot be used, or the study is of another search.
    """
    study, settings = open_study(sweep), sweep.settings
    parallel = Parallel.model_validate(sweep.parameters["parallel"])
    until = None if settings.timeout is None else time.monotonic() + settings.timeout
    silent_since: dict[int, float] = {}
    while True:
        others = take_up(study, settings.storage)
        waiting = sum(trial.state == TrialState.WAITING for trial in others)
        lacking = settings.trials - len(ended(study.get_trials(deepcopy=False)))
        running = len(others) - waiting
        count = max(waiting, lacking - running)
        if until is not None and time.monotonic() >= until:
            return
        if count > 0:
            jobs = {number: partial(run_trial, sweep, until) for number in range(count)}
            yield from (done for _, done in spread(jobs, parallel) if done is not None)
        elif not others:
            return
        else:
            _fail_unborn(study, others, silent_since, settings.heartbeat)
            time.sleep(WAIT)


def run_trial(sweep: Sweep, until: float | None = None) -> Done | None:
    """The next trial of a study, in this process; None if there is none to run.

    Args:
        sweep: the search.
        until: a time of ``time.monotonic`` after which none is begun.
    """
    study = open_study(sweep)
    waiting = [t for t in take_up(study, sweep.settings.storage) if t.state == TrialState.WAITING]
    count = len(ended(study.get_trials(deepcopy=False)))
    if not waiting and count >= sweep.settings.trials or (until and time.monotonic() >= until):
        return None
    study.sampler = NumberedSampler(sweep.settings.search, sweep.settings.seed)
    study.pruner = _pruner(sweep.settings.search)
    told: list[Done] = []
    study.optimize(
        partial(_objective, sweep, told), n_trials=1, catch=(CellsFailedError, ValueError)
    )
    forget_plans()
    return told[0]


def _objective(sweep: Sweep, told: list[Done], trial: Trial) -> list[float]:
    trial.set_user_attr(PROCESS, this_process())
    start, objectives = time.perf_counter(), sweep.settings.search.objectives
    changes = suggest(trial, sweep.settings.search.space)

    def tell(state: str, **more: Any) -> None:
        number = trial.system_attrs.get("failed_trial", trial.number)
        told.append(Done(number, state, time.perf_counter() - start, changes, **more))

    try:
        results = compute(sweep.request(changes, VALIDATION), partial(_report, trial, sweep))
        measured = {name_of(each): by_seed(results, each) for each in objectives}
    except Stopped:
        tell("pruned")
        raise optuna.TrialPruned from None
    except (CellsFailedError, ValueError) as error:
        trial.set_user_attr(ERROR, said_by(error))
        tell("failed", error=said_by(error))
        raise
    trial.set_user_attr(BY_SEED, measured)
    history = {label: dict(result.history) for label, result in results.items()}
    tell("complete", measured=measured, history=history)
    return [fmean(values) for values in measured.values()]


def compute(
    request: Request, on_score: Callable[[int, float], object] = silent
) -> dict[str, Result]:
    """The results of an experiment's last step by label, computed as far as they are missing.

    Args:
        request: the experiment and its settings.
        on_score: called after each epoch of the first training with its number and its validation
            score; may raise ``Stopped``.

    Raises:
        CellsFailedError, Stopped: see ``run_step``.
    """
    steps = request.plan.values()
    for cells in (list(step.values()) for step in steps):
        run_step(
            cells[:1], request.store, request.machine,
            on_epoch=lambda epoch, loss, score: on_score(epoch, score),
        )  # fmt: skip
        run_step(cells[1:], request.store, request.machine)
    last = request.plan[request.experiment.steps[-1].name]
    return {label: request.store.open(cell.key) for label, cell in last.items()}


def suggest(trial: Trial, space: Space) -> dict[str, Any]:
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
    return suggest(optuna.trial.FixedTrial(trial.params), space)  # type: ignore[arg-type]


def by_seed(results: Mapping[str, Result], objective: Objective) -> list[float]:
    """The mean of a metric over the rows that count, for each seed in order.

    Raises:
        ValueError: no row counts, or the metric is undefined in one.
    """
    rows = pd.concat([result.table for result in results.values()], ignore_index=True)
    for column, value in objective.where.items():
        rows = rows[rows[check("sweep: objectives: where: column", column, rows)] == value]
    if rows.empty or rows[objective.metric].isna().any():
        what = "is undefined in a row" if len(rows) else f"has no rows where {objective.where}"
        raise ValueError(f"{objective.metric} {what}")
    return [float(value) for value in rows.groupby("seed")[objective.metric].mean()]


def name_of(objective: Objective) -> str:
    """What an objective is called: its metric, and the rows that count."""
    return "_".join([objective.metric, *map(str, objective.where.values())])


def _report(trial: Trial, sweep: Sweep, epoch: int, score: float) -> None:
    """A training's score is the higher the better, whatever the objective is."""
    if len(sweep.settings.search.objectives) > 1:
        return  # Optuna takes none
    higher = trial.study.direction == optuna.study.StudyDirection.MAXIMIZE
    trial.report(score if higher else -score, epoch)
    if trial.should_prune():
        raise Stopped


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
        earlier = [each for each in study.get_trials(deepcopy=False) if each.number < trial.number]
        repeats = sum("failed_trial" in each.system_attrs for each in earlier)
        self._sampler = self._made(trial.number - repeats)
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, Any]:
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, Any]
    ) -> dict[str, Any]:
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        self._sampler.after_trial(study, trial, state, values)


def _pruner(search: Search) -> optuna.pruners.BasePruner:
    if search.pruner is None:
        return optuna.pruners.NopPruner()
    try:
        arguments = search.pruner.model_dump(exclude={"name"})
        return getattr(optuna.pruners, search.pruner.name)(**arguments)
    except TypeError as error:
        raise ValueError(f"sweep: pruner: {error}") from error


def _fail_unborn(
    study: Study, others: Sequence[FrozenTrial], since: dict[int, float], heartbeat: int
) -> None:
    """End trials whose process died before it gave a name or a sign of life.

    Only time that passes here counts: clocks of other hosts may be wrong.
    """
    for trial in others:
        begun = since.setdefault(trial.number, time.monotonic())
        if PROCESS not in trial.user_attrs and time.monotonic() - begun > 2 * heartbeat:
            study.tell(trial.number, state=TrialState.FAIL)
