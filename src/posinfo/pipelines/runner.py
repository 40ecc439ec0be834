"""The one runner: computes the results of a step's cells that the store lacks."""

import logging
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import torch

from posinfo.experiment import Result
from posinfo.networks.training.devices import Machine, true_float32
from posinfo.pipelines.console import said_by
from posinfo.pipelines.progress import StepBar, step_bar
from posinfo.pipelines.workers import WorkersLostError, spread
from posinfo.plan import Planned, require_same_code
from posinfo.store import Store
from posinfo.work import OnEpoch, Stopped, Work, silent
from posinfo.writing import UnwritableError

LONG = 5  # seconds; the end of what takes longer is foretold

OnResult = Callable[[Planned, bool], object]

log = logging.getLogger(__name__)


class CellsFailedError(RuntimeError):
    """Some cells of a step could not be computed; all others were.

    Attributes:
        failure: of all of them; unwritable if one of them is.
    """

    def __init__(self, said: str, failures: Collection["Failure"]) -> None:
        super().__init__(said)
        traces = "\n".join(each.trace for each in failures)
        self.failure = Failure(said, traces, any(each.unwritable for each in failures))


def run_step(
    cells: Sequence[Planned],
    store: Store,
    machine: Machine,
    on_result: OnResult = silent,
    on_epoch: OnEpoch = silent,
) -> None:
    """Compute the results of a step's cells that the store lacks, and keep each at once.

    Args:
        cells: of one step.
        store: keeps the results.
        machine: where they are computed.
        on_result: called in this process when a cell's result is there, with whether it was
            computed now.
        on_epoch: called after each epoch of a training in this process; see ``Work``.

    Raises:
        CellsFailedError: names each cell that failed; the others are finished.
        Stopped: ``on_epoch`` has raised it.
    """
    failed: dict[str, Failure] = {}

    def tell(cell: Planned, computed: bool) -> None:
        try:
            on_result(cell, computed)
        except Exception as error:
            _fail(cell, Failure.of(error), failed)

    lacking: dict[str, Planned] = {}
    for cell in cells:  # asked once each: another process may be making the same results
        if cell.key not in lacking and cell.key in store:
            tell(cell, False)
        else:
            lacking.setdefault(cell.key, cell)
    missing = list(lacking.values())
    for cell in _computed(missing, store, machine, failed, on_epoch) if missing else ():
        for same in (other for other in cells if other.key == cell.key):
            tell(same, True)
    if failed:
        lines = "\n".join(f"  {label}: {failure.said}" for label, failure in failed.items())
        raise CellsFailedError(
            f"{len(failed)} of {len(cells)} cells of {cells[0].step.name} failed, the others are "
            f"finished and kept:\n{lines}",
            failed.values(),
        )


class Failure(NamedTuple):
    """Why a cell has no result, in words that go from process to process.

    Attributes:
        said: the error's message.
        trace: its traceback.
        unwritable: whether it is an ``UnwritableError``.
    """

    said: str
    trace: str
    unwritable: bool

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """From an error that is being handled."""
        trace = "".join(traceback.format_exception(error))
        return cls(said_by(error), trace, isinstance(error, UnwritableError))


def _fail(cell: Planned, failure: Failure, failed: dict[str, Failure]) -> None:
    failed[cell.label] = failure
    log.error("%s: %s", cell.label, failure.said)
    log.debug("%s: %s", cell.label, failure.trace)


def _computed(
    missing: Sequence[Planned],
    store: Store,
    machine: Machine,
    failed: dict[str, Failure],
    on_epoch: OnEpoch,
) -> Iterator[Planned]:
    """The cells that could be computed, as they end."""
    name, start = missing[0].step.name, perf_counter()
    with step_bar(name, len(missing)) as bar:
        jobs = _jobs(missing, store, machine, bar, on_epoch)
        try:
            outcomes = spread(jobs, machine.parallel, bar.ended)
            for done, (number, outcome) in enumerate(outcomes, start=1):
                bar.ended(done)
                if isinstance(outcome, Failure):
                    _fail(missing[number], outcome, failed)
                    continue
                rest = (perf_counter() - start) / done * (len(missing) - done)
                end = f"; {name} is done at about {datetime.now() + timedelta(seconds=rest):%H:%M}"
                as_they_end = machine.parallel.backend != "ray"  # which tells of all at the end
                until = end if rest > LONG and as_they_end else ""
                counted = f"{name} {done}/{len(missing)}"
                log.info("%s: %s in %.1f s%s", counted, missing[number].label, outcome, until)
                yield missing[number]
        except WorkersLostError as error:
            for cell in missing:
                if cell.key not in store and cell.label not in failed:
                    _fail(cell, Failure.of(error), failed)


def _jobs(
    cells: Sequence[Planned], store: Store, machine: Machine, bar: StepBar, on_epoch: OnEpoch
) -> dict[int, Callable[[], float | Failure]]:
    """For each cell a function that computes it and returns the seconds that it took, or why not.

    A bar cannot be told of other processes.
    """
    device, dtype, parallel = machine
    if not parallel.in_this_process:
        work = Work(device, dtype)
        attempt = partial(_attempt_elsewhere, store=store, threads=parallel.threads, work=work)
        return {number: partial(attempt, cell) for number, cell in enumerate(cells)}

    def told(epoch: int, loss: float, score: float) -> None:
        bar.epoch(epoch, loss, score)
        on_epoch(epoch, loss, score)

    work = Work(device, dtype, on_total=bar.total, on_progress=bar.advance, on_epoch=told)

    def here(cell: Planned) -> float | Failure:
        bar.start(cell.label)
        return _attempt(cell, store, parallel.threads, work)

    return {number: partial(here, cell) for number, cell in enumerate(cells)}


def _attempt_elsewhere(cell: Planned, store: Store, threads: int, work: Work) -> float | Failure:
    """In another process, which may have been given other code than this one."""
    try:
        require_same_code(cell)
    except Exception as error:
        return Failure.of(error)
    return _attempt(cell, store, threads, work)


def _attempt(cell: Planned, store: Store, threads: int, work: Work) -> float | Failure:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        if cell.key in store:  # another process has made it since
            return 0.0
        inputs = {role: store.open(key) for role, key in cell.inputs.items()}

        def compute(folder: Path) -> Result:
            there = replace(work, folder=folder, checkpoint=store.checkpoint(cell.key))
            with true_float32():
                return cell.step.run(cell.cell, inputs, there)

        return store.add(cell.key, cell.identity, compute)
    except Stopped:
        raise
    except Exception as error:
        return Failure.of(error)
    finally:
        torch.set_num_threads(before)
