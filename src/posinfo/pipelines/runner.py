"""The one runner: computes what the store lacks, and is alone to know processes."""

import logging
import pickle
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter

import joblib
import torch

from posinfo.experiment import Result
from posinfo.pipelines.progress import StepBar, step_bar
from posinfo.pipelines.shared_parameters import Machine
from posinfo.plan import Planned
from posinfo.store import Store
from posinfo.work import Work

LONG = 5  # seconds; the end of what takes longer is foretold

log = logging.getLogger(__name__)


class CellsFailedError(RuntimeError):
    """Some cells of a step could not be computed; all others were."""


def run_step(
    cells: Sequence[Planned],
    store: Store,
    machine: Machine,
    on_result: Callable[[Planned, bool], object],
) -> None:
    """Compute the results that the store lacks, and keep each as soon as it is there.

    Args:
        cells: of one step.
        store: keeps results.
        machine: computes.
        on_result: called in this process when a cell's result is there, with whether it was
            computed now.

    Raises:
        CellsFailedError: names each cell that failed; the others are finished.
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
        for done, (cell, outcome) in enumerate(outcomes, start=1):
            bar.finish()
            if isinstance(outcome, Exception):
                failed[cell.label] = outcome
                log.error("%s: %s", cell.label, _said(outcome))
                continue
            rest = (perf_counter() - start) / done * (len(missing) - done)
            until = f"; {name} is done at about {_clock(rest)}" if rest > LONG else ""
            log.info(
                "%s %d/%d: %s in %.1f s%s", name, done, len(missing), cell.label, outcome, until
            )
            for same in (other for other in cells if other.key == cell.key):
                on_result(same, True)
    if failed:
        lines = "\n".join(f"  {label}: {_said(error)}" for label, error in failed.items())
        raise CellsFailedError(
            f"{len(failed)} of {len(missing)} cells of {name} failed, the others are finished and "
            f"kept:\n{lines}"
        ) from next(iter(failed.values()))


def _outcomes(
    cells: Sequence[Planned],
    store: Store,
    machine: Machine,
    bar: StepBar,
) -> Iterator[tuple[Planned, float | Exception]]:
    """The seconds that each cell took, or why it failed, as they end."""
    place, parallel = machine[:2], machine.parallel
    if parallel.n_jobs == 1:
        before = torch.get_num_threads()
        try:
            for cell in cells:
                bar.start(cell.label)
                work = Work(*place, on_total=bar.total, on_progress=bar.advance, on_epoch=bar.epoch)
                yield cell, _attempt(cell, store, parallel.threads, work)
        finally:
            torch.set_num_threads(before)
        return
    jobs: Iterable = (
        joblib.delayed(_numbered)(index, cell, store, parallel.threads, Work(*place))
        for index, cell in enumerate(cells)
    )
    pool = joblib.Parallel(parallel.n_jobs, backend="loky", return_as="generator_unordered")
    for index, outcome in pool(jobs):  # type: ignore[misc]
        yield cells[index], outcome


def _numbered(index: int, *arguments: object) -> tuple[int, float | Exception]:
    return index, _attempt(*arguments)  # type: ignore[arg-type]


def _attempt(cell: Planned, store: Store, threads: int, work: Work) -> float | Exception:
    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        inputs = {role: store.open(key) for role, key in cell.inputs.items()}

        def compute(folder: Path) -> Result:
            there = replace(work, folder=folder, checkpoint=store.checkpoint(cell.key))
            return cell.step.run(cell.cell, inputs, there)

        return store.add(cell.key, cell.identity, compute)
    except Exception as error:
        error.add_note(traceback.format_exc())
        return _picklable(error)


def _picklable(error: Exception) -> Exception:
    """The error itself if it can go to another process, or else its text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(_said(error))
    return error


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _clock(seconds: float) -> str:
    return f"{datetime.now() + timedelta(seconds=seconds):%H:%M}"
