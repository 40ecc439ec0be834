"""Optuna's trials: an experiment's cells with changed settings, measured on validation images."""

import logging
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import isfinite
from statistics import fmean
from typing import Any

import optuna
import pandas as pd
from optuna.trial import Trial, TrialState

from posinfo.choices import check
from posinfo.experiment import Result
from posinfo.networks.training.devices import Parallel
from posinfo.pipelines.processes import this_process
from posinfo.pipelines.requests import Request, forget_plans
from posinfo.pipelines.runner import CellsFailedError, Failure, run_step
from posinfo.pipelines.search_space import Changes, combinations
from posinfo.pipelines.sweep_settings import VALIDATION, Objective, Sweep
from posinfo.pipelines.sweeping_samplers import NumberedSampler, make_pruner, suggest, try_sampler
from posinfo.pipelines.sweeping_storage import (
    ERROR,
    PROCESS,
    UNWRITABLE,
    database_error,
    ended,
    fail_unborn,
    locked,
    number_of,
    open_study,
    take_up,
    written,
)
from posinfo.pipelines.workers import spread
from posinfo.work import Stopped, silent
from posinfo.writing import UnwritableError

BY_SEED = "by_seed"
WAIT = 2.0  # seconds between looks at what other processes compute

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Done:
    """A trial that has ended here, in what goes from process to process.

    Attributes:
        number: of the trial, or of the one that it repeats; -1 if the study could not be asked.
        state: complete, pruned or failed.
        seconds: that it took.
        changes: values by dotted name.
        measured: for each metric, the value of each seed.
        history: of each cell by label: name of a quantity to its value in each epoch.
        failure: what went wrong; if it could not be written, it is to be begun again.
    """

    number: int
    state: str
    seconds: float
    changes: Changes
    measured: Mapping[str, Sequence[float]] = field(default_factory=dict)
    history: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    failure: Failure | None = None

    @property
    def lost(self) -> bool:
        """Whether it ended with its results unwritten."""
        return self.failure is not None and self.failure.unwritable


def search(sweep: Sweep) -> Iterator[Done]:
    """Run trials until the study has as many as asked for, or time is up.

    Several processes, on any hosts, may search one study at the same time; each goes on until all
    trials have ended, and begins again those whose process was lost.

    Yields:
        The trials that end here.

    Raises:
        ValueError: the storage cannot be used, or the study is of another search.
        UnwritableError: a trial could not be kept; the next run begins it again.
    """
    study, settings = open_study(sweep), sweep.settings
    compute_shared(sweep)
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
            # Ray tells of its jobs when all have ended, and its hosts have clocks of their own
            on_ray = parallel.backend == "ray"
            begun = min(count, parallel.n_jobs) if on_ray else count
            clock = None if on_ray else until
            jobs = {number: partial(run_trial, sweep, clock) for number in range(begun)}
            dones = (done for _, done in spread(jobs, parallel) if done is not None)
            for done in sorted(dones, key=lambda done: done.lost) if on_ray else dones:
                if done.failure and done.lost:
                    log.debug("traceback of a trial that was not kept:\n%s", done.failure.trace)
                    raise UnwritableError(
                        "a trial could not be kept, and this command begins it again: "
                        f"{done.failure.said}"
                    )
                yield done
        elif not others:
            return
        else:
            fail_unborn(study, others, silent_since, settings.heartbeat)
            time.sleep(WAIT)


def prepare(sweep: Sweep) -> None:
    """Refuse a search that cannot be, before its first trial.

    Raises:
        ValueError: an unknown setting, a value or an argument that is refused, a storage that
            cannot be used, or a study of another search.
    """
    sweep.check()
    make_pruner(sweep.settings.search)
    try_sampler(sweep.settings)
    open_study(sweep)


def run_trial(sweep: Sweep, until: float | None = None) -> Done | None:
    """The next trial of a study, in this process; None if there is none to run.

    Args:
        sweep: the search.
        until: a time of ``time.monotonic`` after which none is begun.
    """
    told: list[Done] = []
    try:
        return _run_next(sweep, until, told)
    except Exception as error:  # Optuna hides that of its database behind others
        away = database_error(error)
        if not away:
            raise
        if told and told[0].lost:
            return told[0]
        said = f"the study cannot be used: {away}"
        failure = Failure.of(error)._replace(said=said, unwritable=True)
        return Done(told[0].number if told else -1, "failed", 0.0, {}, failure=failure)


def _run_next(sweep: Sweep, until: float | None, told: list[Done]) -> Done | None:
    study = open_study(sweep)
    others = take_up(study, sweep.settings.storage)
    waiting = any(trial.state == TrialState.WAITING for trial in others)
    count = len(ended(study.get_trials(deepcopy=False))) + len(others)
    late = until is not None and time.monotonic() >= until
    if late or (count >= sweep.settings.trials and not waiting):
        return None
    study.sampler = NumberedSampler(sweep.settings.search, sweep.settings.seed)
    study.pruner = make_pruner(sweep.settings.search)
    try:
        study.optimize(partial(_objective, sweep, told), n_trials=1, catch=Exception)
    except (optuna.exceptions.UpdateFinishedTrialError, ValueError):
        if not told:
            raise
        log.warning("trial %d was silent for long: another process has it now", told[0].number)
        return None
    forget_plans()
    if not told:  # another process has the trial, which was silent for long
        return None
    (done,) = told
    trials = study.get_trials(deepcopy=False)
    return replace(done, number=number_of(trials[done.number], trials))


def _objective(sweep: Sweep, told: list[Done], trial: Trial) -> list[float]:
    trial.set_user_attr(PROCESS, this_process())
    start, objectives = time.perf_counter(), sweep.settings.search.objectives
    changes: dict[str, Any] = {}
    scores: list[float] = []

    def tell(state: str, **more: Any) -> None:
        told.append(Done(trial.number, state, time.perf_counter() - start, changes, **more))

    def on_score(epoch: int, score: float) -> None:
        scores.append(score)
        _report(trial, sweep, epoch, score)

    try:
        with written():
            changes |= suggest(trial, sweep.settings.search.space)
        results = compute(sweep.request(changes, VALIDATION), on_score)
        measured = {each.name: _of_all_seeds(results, each, sweep) for each in objectives}
    except Stopped:
        tell("pruned", history={"first": {"validation_score": scores}})
        raise optuna.TrialPruned from None
    except Exception as error:  # whatever it is, the other trials go on
        failure = error.failure if isinstance(error, CellsFailedError) else Failure.of(error)
        tell("failed", failure=failure)
        trial.set_user_attr(UNWRITABLE if failure.unwritable else ERROR, failure.said)
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


def compute_shared(sweep: Sweep) -> None:
    """Compute what all trials read, such as the features of one backbone, before they begin."""
    space = sweep.settings.search.space
    requests = [sweep.request(c, VALIDATION) for c in ({}, *combinations(space))]
    first = requests[0]
    with locked(sweep.settings.storage, "shared"):
        for step, cells in first.plan.items():
            keys = [{cell.key for cell in each.plan[step].values()} for each in requests]
            shared = set.intersection(*keys)
            run_step(
                [cell for cell in cells.values() if cell.key in shared], first.store, first.machine
            )
    forget_plans()


def _of_all_seeds(results: Mapping[str, Result], objective: Objective, sweep: Sweep) -> list[float]:
    """The mean of a metric for each seed; a ``ValueError`` if some row has seeds of its own."""
    values = by_seed(results, objective)
    if len(values) != sweep.settings.search.seeds_per_trial:
        raise ValueError(
            f"{objective.name} is of {len(values)} seeds, not of seeds_per_trial "
            f"{sweep.settings.search.seeds_per_trial}: rows of a sweep have no seeds of their own"
        )
    return values


def by_seed(results: Mapping[str, Result], objective: Objective) -> list[float]:
    """The mean of a metric over the rows that count, for each seed in order.

    Raises:
        ValueError: no row counts, or the metric is undefined in one.
    """
    rows = pd.concat([result.table for result in results.values()], ignore_index=True)
    for column in objective.where:
        check("sweep: objectives: where: column", column, rows)
    values: dict[int, list[float]] = {}
    for row in rows.to_dict("records"):
        if all(row[column] == value for column, value in objective.where.items()):
            values.setdefault(row["seed"], []).append(row[objective.metric])
    means = [fmean(of_seed) for _, of_seed in sorted(values.items())]
    if not means or not all(map(isfinite, means)):
        what = "is undefined in a row" if means else f"has no rows where {objective.where}"
        raise ValueError(f"{objective.metric} {what}")
    return means


def _report(trial: Trial, sweep: Sweep, epoch: int, score: float) -> None:
    """A training's score is the higher the better, whatever the objective is."""
    if len(sweep.settings.search.objectives) > 1:
        return  # Optuna takes none
    higher = trial.study.direction == optuna.study.StudyDirection.MAXIMIZE
    with written(), warnings.catch_warnings():  # of epochs that a lost process has reported, too
        warnings.simplefilter("ignore", UserWarning)
        trial.report(score if higher else -score, epoch)
        behind = trial.should_prune()
    if behind:
        raise Stopped
