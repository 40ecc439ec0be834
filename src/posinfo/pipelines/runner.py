"""The one runner: computes what the store lacks, and is alone to know processes."""

import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import joblib
import torch

from posinfo.experiment import Result
from posinfo.networks.training.devices import Machine
from posinfo.pipelines.console import said_by
from posinfo.pipelines.progress import StepBar, step_bar
from posinfo.plan import Planned
from posinfo.store import Store
from posinfo.work import Work, silent

LONG = 5  # seconds; the end of what takes longer is foretold

OnResult = Callable[[Planned, bool], object]

log = logging.getLogger(__name__)


class CellsFailedError(RuntimeError):
    """Some cells of a step could not be computed; all others were."""


def run_step(cells: Sequence[Planned], store: Store, machine: Machine, on_result: OnResult) -> None:
    """Compute the results of a step's cells that the store lacks, and keep each at once.

    ``on_result`` is called in this process when a cell's result is there, with whether it was
    computed now. A ``CellsFailedError`` names each cell that failed; the others are finished.
    """
    failed: dict[str, str] = {}

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
    for cell in _computed(missing, store, machine, failed) if missing else ():
        for same in (other for other in cells if other.key == cell.key):
            tell(same, True)
    if failed:
        lines = "\n".join(f"  {label}: {said}" for label, said in failed.items())
        raise CellsFailedError(
            f"{len(failed)} of {len(cells)} cells of {cells[0].step.name} failed, the others are "
            f"finished and kept:\n{lines}"
        )


class Failure(NamedTuple):
    """Why a cell has no result, in words that go from process to process.

    Attributes:
        said: the error's message.
        trace: its traceback.
    """

    said: str
    trace: str

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """From an error that is being handled."""
        return cls(said_by(error), "".join(traceback.format_exception(error)))


def _fail(cell: Planned, failure: Failure, failed: dict[str, str]) -> None:
    failed[cell.label] = failure.said
    log.error("%s: %s", cell.label, failure.said)
    log.debug("%s: %s", cell.label, failure.trace)


def _computed(
    missing: Sequence[Planned], store: Store, machine: Machine, failed: dict[str, str]
) -> Iterator[Planned]:
    """The cells that could be computed, as they end."""
    name, start = missing[0].step.name, perf_counter()
    with step_bar(name, len(missing)) as bar:
        try:
            outcomes = _outcomes(missing, store, machine, bar)
            for done, (number, outcome) in enumerate(outcomes, start=1):
                bar.finish()
                if isinstance(outcome, Failure):
                    _fail(missing[number], outcome, failed)
                    continue
                rest = (perf_counter() - start) / done * (len(missing) - done)
                end = f"; {name} is done at about {datetime.now() + timedelta(seconds=rest):%H:%M}"
                counted, until = f"{name} {done}/{len(missing)}", end if rest > LONG else ""
                log.info("%s: %s in %.1f s%s", counted, missing[number].label, outcome, until)
                yield missing[number]
        except BrokenProcessPool as error:
            for cell in missing:
                if cell.key not in store and cell.label not in failed:
                    _fail(cell, Failure.of(error), failed)


def _outcomes(
    cells: Sequence[Planned], store: Store, machine: Machine, bar: StepBar
) -> Iterator[tuple[int, float | Failure]]:
    """The number of each cell and the seconds that it took, or why it failed, as they end."""
    device, dtype, parallel = machine
    work, start = Work(device, dtype), silent
    if parallel.n_jobs == 1:  # a bar cannot be told of other processes
        callbacks = {"on_total": bar.total, "on_progress": bar.advance, "on_epoch": bar.epoch}
        work, start = replace(work, **callbacks), bar.start

    def jobs() -> Iterator[Any]:
        for number, cell in enumerate(cells):
            start(cell.label)
            yield joblib.delayed(_attempt)(number, cell, store, parallel.threads, work)

    pool = joblib.Parallel(parallel.n_jobs, backend="loky", return_as="generator_unordered")
    return pool(jobs())  # type: ignore[return-value]


def _attempt(
    number: int, cell: Planned, store: Store, threads: int, work: Work
) -> tuple[int, float | Failure]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        if cell.key in store:  # another process has made it since
            return number, 0.0
        inputs = {role: store.open(key) for role, key in cell.inputs.items()}

        def compute(folder: Path) -> Result:
            there = replace(work, folder=folder, checkpoint=store.checkpoint(cell.key))
            return cell.step.run(cell.cell, inputs, there)

        return number, store.add(cell.key, cell.identity, compute)
    except Exception as error:
        return number, Failure.of(error)
    finally:
        torch.set_num_threads(before)
