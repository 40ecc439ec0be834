"""Who computes: this process, processes of this machine, or a Ray cluster, through joblib."""

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

import joblib
import torch
from filelock import FileLock, Timeout

from posinfo.networks.training.devices import Machine, Parallel
from posinfo.pipelines.ray_cluster import (
    NodesLostError,
    arguments_of,
    connect,
    load_ray,
    processes_that_fit,
    resources_of,
)
from posinfo.work import silent

RERUNS = 3  # of what workers that were lost have left undone
CREDENTIALS = "PG"  # variables of PostgreSQL's client begin so; they are in no file of all hosts
R = TypeVar("R")

_PINNED: list[FileLock] = []


class WorkersLostError(RuntimeError):
    """Processes that computed have died, more often than they are replaced."""


def spread(
    jobs: Mapping[int, Callable[[], R]],
    parallel: Parallel,
    on_done: Callable[[int], object] = silent,
) -> Iterator[tuple[int, R]]:
    """The results of jobs by number, as they end; with ``ray``, when all have ended.

    Jobs that a lost worker leaves undone are given to others, up to ``RERUNS`` times. A Ray cluster
    that has lost nodes computes with what is left of it; where that is room for one process, it is
    this one, which joblib then gives all jobs to.

    Args:
        jobs: functions that can be pickled if ``parallel`` has several processes, in order.
        parallel: whose processes call them.
        on_done: called with how many jobs have ended, from a thread of joblib's.

    Raises:
        WorkersLostError: workers were lost too often.
        ValueError: a Ray cluster cannot run the jobs; the message says why.
    """
    waiting, lost = dict(jobs), 0
    while waiting:
        try:
            for number, result in _once(dict(waiting), parallel, on_done):
                del waiting[number]
                yield number, result
        except Exception as error:
            if not is_loss(error):
                raise
            lost += 1
            if lost > RERUNS:
                why = f"a worker was lost {lost} times: {type(error).__name__}: {error}"
                raise WorkersLostError(why) from error


def is_loss(error: BaseException) -> bool:
    """Whether an error says that a process has died, and not what went wrong in one."""
    named = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, BrokenProcessPool) or "RayActorError" in named


def require_processes(machine: Machine) -> None:
    """Refuse processes that there cannot be; a ``ValueError`` says what there is."""
    parallel = machine.parallel
    if parallel.backend == "ray":
        load_ray()
    if parallel.gpus_per_job is None:
        if parallel.backend == "ray" and machine.device.type == "cuda":
            raise ValueError("Ray hides all GPUs from a process without parallel.gpus_per_job")
        return
    if machine.device.type != "cuda" or machine.device.index is not None:
        raise ValueError(
            "parallel.gpus_per_job gives each process a GPU: it needs the device `cuda` without a "
            f"number; got {machine.device}"
        )
    needed, there = parallel.n_jobs * parallel.gpus_per_job, len(visible_gpus())
    if parallel.backend == "loky" and needed > there:
        raise ValueError(
            f"{parallel.n_jobs} processes of {parallel.gpus_per_job:g} GPUs each need {needed:g}; "
            f"this machine shows {there}"
        )


def visible_gpus() -> list[str]:
    """What ``CUDA_VISIBLE_DEVICES`` may name in a process of this machine; CUDA stays asleep."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return [str(number) for number in range(torch.cuda.device_count())]
    return [name.strip() for name in named.split(",") if name.strip()]


def pin(gpus: Sequence[str], count: int, run: str) -> None:
    """Show this process GPUs of its own, before CUDA wakes in it; asked again, it changes nothing.

    A GPU belongs to a process for as long as it lives: that of one that has died is free.

    Args:
        gpus: that processes of this run share out among themselves.
        count: how many it takes.
        run: what processes of this run have in common.

    Raises:
        RuntimeError: fewer are free.
    """
    if _PINNED:
        return
    taken: dict[str, FileLock] = {}
    for gpu in gpus:
        if len(taken) == count:
            break
        lock = FileLock(Path(tempfile.gettempdir()) / f"posinfo-{run}-gpu-{gpu}.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        taken[gpu] = lock
    if len(taken) < count:
        for lock in taken.values():
            lock.release()
        raise RuntimeError(f"{count} of the GPUs {', '.join(gpus)} are wanted; {len(taken)} free")
    _PINNED.extend(taken.values())
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken)


def _once(
    jobs: Mapping[int, Callable[[], R]], parallel: Parallel, on_done: Callable[[int], object]
) -> Iterator[tuple[int, R]]:
    if parallel.in_this_process:
        yield from ((number, job()) for number, job in jobs.items())
        return
    place = Place.here(parallel)
    calls = (joblib.delayed(place.call)(number, job) for number, job in jobs.items())
    if parallel.backend == "ray":
        yield from _on_ray(list(calls), parallel, on_done)
        return
    # loky replaces a process that has grown by 300 MB; its job is not lost, and nobody need act
    warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
    # of an error that ends all jobs, which is told by itself
    warnings.filterwarnings("ignore", r"\d+ tasks which were still being", UserWarning)
    pool = joblib.Parallel(
        parallel.n_jobs,
        backend="loky",
        return_as="generator_unordered",
        batch_size=1,  # type: ignore[arg-type]
    )
    yield from pool(calls)  # type: ignore[misc]


class Place:
    """What a worker takes over from the process that gives it work.

    Args:
        folder: of the project, from which files are named.
        gpus: that the workers of this machine share out; empty: each sees what it sees.
        count: how many a worker takes.
        run: of which workers are.
        credentials: environment variables that a worker of another host lacks.
    """

    def __init__(
        self, folder: str, gpus: list[str], count: int, run: str, credentials: dict[str, str]
    ) -> None:
        self.folder, self.gpus, self.count, self.run = folder, gpus, count, run
        self.credentials = credentials

    @classmethod
    def here(cls, parallel: Parallel) -> "Place":
        """That of this process."""
        pinned = parallel.backend == "loky" and parallel.gpus_per_job is not None
        gpus = visible_gpus() if pinned else []
        known = {n: value for n, value in os.environ.items() if n.startswith(CREDENTIALS)}
        count = int(parallel.gpus_per_job or 0) if pinned else 0
        return cls(os.getcwd(), gpus, count, str(os.getuid()), known)

    def call(self, number: int, job: Callable[[], R]) -> tuple[int, R]:
        """The number of a job and its result, in a worker.

        Raises:
            FileNotFoundError: this host does not have the folder of the project.
        """
        if not Path(self.folder).is_dir():
            raise FileNotFoundError(
                f"the folder {self.folder} is not on {os.uname().nodename}: workers need the "
                "project's folder on storage that all hosts share"
            )
        os.chdir(self.folder)
        for name, value in self.credentials.items():
            os.environ.setdefault(name, value)
        if self.gpus:
            pin(self.gpus, self.count, self.run)
        return number, job()


def _on_ray(
    calls: list[Any], parallel: Parallel, on_done: Callable[[int], object]
) -> list[tuple[int, Any]]:
    """What is left of a cluster goes on; joblib calls jobs here if it has room for one process."""
    connect(parallel)
    wanted = arguments_of(resources_of(parallel))

    class Telling(joblib.Parallel):
        def print_progress(self) -> None:  # joblib calls it whenever jobs have ended
            on_done(self.n_completed_tasks)

    while True:
        try:
            pool = Telling(
                processes_that_fit(parallel),
                backend="ray",
                batch_size=1,  # type: ignore[arg-type]
                ray_remote_args=wanted,
            )
            return list(pool(calls))  # type: ignore[arg-type]
        except NodesLostError:
            continue  # with fewer
        except ModuleNotFoundError as error:
            raise ValueError(
                f"a Ray worker has no package {error.name!r}: install the same version of this "
                "project in the Python of every node"
            ) from error
