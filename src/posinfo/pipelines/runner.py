"""The one runner: computes what the store lacks, and is alone to know processes."""

import logging
import pickle
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import joblib
import torch
from pydantic import Field

from posinfo.experiment import Result, Section
from posinfo.pipelines.progress import StepBar, step_bar
from posinfo.plan import Planned
from posinfo.store import Store
from posinfo.work import Work, silent

LONG = 5  # seconds; the end of what takes longer is foretold

OnResult = Callable[[Planned, bool], object]

log = logging.getLogger(__name__)


class Parallel(Section):
    """How many cells of a step are computed at the same time.

    Attributes:
        n_jobs: processes; 1: this one.
        threads_per_job: of PyTorch in each; None: as many as it takes by itself, shared by the
            processes. Results depend on it in their last bits.
    """

    n_jobs: int = Field(ge=1)
    threads_per_job: int | None = Field(ge=1)

    @property
    def threads(self) -> int:
        """Of PyTorch in each process."""
        return self.threads_per_job or max(1, torch.get_num_threads() // self.n_jobs)


class Machine(NamedTuple):
    """Where a run computes: its device, the dtype of forward passes, and its processes."""

    device: torch.device
    dtype: torch.dtype
    parallel: Parallel


class CellsFailedError(RuntimeError):
    """Some cells of a step could not be computed; all others were."""


def run_step(cells: Sequence[Planned], store: Store, machine: Machine, on_result: OnResult) -> None:
    """Compute the results of a step's cells that the store lacks, and keep each at once.

    ``on_result`` is called in this process when a cell's result is there, with whether it was
    computed now. A ``CellsFailedError`` names each cell that failed; the others are finished.
    """
    lacking: dict[str, Planned] = {}
    for cell in cells:  # asked once each: another process may be making the same results
        if cell.key not in lacking and cell.key in store:
            on_result(cell, False)
        else:
            lacking.setdefault(cell.key, cell)
    if not lacking:
        return
    missing = list(lacking.values())
    failed: dict[str, Exception] = {}
    name, start = missing[0].step.name, perf_counter()
    with step_bar(name, len(missing)) as bar:
        outcomes = _outcomes(missing, store, machine, bar)
        for done, (number, outcome) in enumerate(outcomes, start=1):
            cell = missing[number]
            bar.finish()
            if isinstance(outcome, Exception):
                failed[cell.label] = outcome
                log.error("%s: %s", cell.label, _said(outcome))
                continue
            rest = (perf_counter() - start) / done * (len(missing) - done)
            end = f"; {name} is done at about {datetime.now() + timedelta(seconds=rest):%H:%M}"
            counted, until = f"{name} {done}/{len(missing)}", end if rest > LONG else ""
            log.info("%s: %s in %.1f s%s", counted, cell.label, outcome, until)
            for same in (other for other in cells if other.key == cell.key):
                on_result(same, True)
    if failed:
        lines = "\n".join(f"  {label}: {_said(error)}" for label, error in failed.items())
        raise CellsFailedError(
            f"{len(failed)} of {len(missing)} cells of {name} failed, the others are finished and "
            f"kept:\n{lines}"
        ) from next(iter(failed.values()))


def _outcomes(
    cells: Sequence[Planned], store: Store, machine: Machine, bar: StepBar
) -> Iterator[tuple[int, float | Exception]]:
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
) -> tuple[int, float | Exception]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        inputs = {role: store.open(key) for role, key in cell.inputs.items()}

        def compute(folder: Path) -> Result:
            there = replace(work, folder=folder, checkpoint=store.checkpoint(cell.key))
            return cell.step.run(cell.cell, inputs, there)

        return number, store.add(cell.key, cell.identity, compute)
    except Exception as error:
        error.add_note(traceback.format_exc())
        return number, _picklable(error)
    finally:
        torch.set_num_threads(before)


def _picklable(error: Exception) -> Exception:
    """The error itself if it can go to another process, or else its text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(_said(error))
    return error


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
