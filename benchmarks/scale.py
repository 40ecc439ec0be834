"""How time, memory and disk grow with images, cells, trials and workers: three sizes and a line.

    python benchmarks/scale.py                    # all, ten to twenty minutes on two cores
    python benchmarks/scale.py --only=trials

Each size is a process of its own, with an empty store. A line is fitted to the three sizes by least
squares; its slope is what one more image, cell, trial or worker costs.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from kedro.config import OmegaConfigLoader

from posinfo.experiments import EXPERIMENTS
from posinfo.pipelines.requests import Request
from posinfo.pipelines.runner import run_step
from posinfo.pipelines.search_space import changed
from posinfo.pipelines.sweep_settings import Sweep, SweepParameters
from posinfo.pipelines.sweeping import search
from posinfo.settings import CONFIG_LOADER_ARGS

CONF = Path(__file__).parents[1] / "conf"
SIZES = {
    "images": (100, 200, 400),  # train crops of posenet, one VGG-16, default settings
    "cells": (2, 4, 8),  # trainings of permutenet at a quarter of an epoch's images
    "trials": (10, 20, 40),  # of a sweep of permutenet at --env=test
    "workers": (1, 2, 3),  # processes for the same six trainings
}
GIB, MIB = 2**30, 2**20


def parameters(env: str | None) -> dict:
    """Those of an environment, in one process of one thread."""
    loaded = OmegaConfigLoader(str(CONF), env=env, **CONFIG_LOADER_ARGS)["parameters"]
    return changed(loaded, {"parallel.threads_per_job": 1, "store": "store"})


def compute(name: str, settings: dict) -> None:
    """Every step of an experiment."""
    request = Request.of(EXPERIMENTS[name], settings)
    for cells in request.plan.values():
        run_step(list(cells.values()), request.store, request.machine)


def images(count: int) -> None:
    """Features and readouts of so many crops."""
    settings = parameters(None)
    changes = {"photos.train_crops": count, "posenet.only": ["vgg16"], "posenet.seeds": [0]}
    compute("posenet", changed(settings, changes))


def cells(count: int, jobs: int = 1) -> None:
    """So many small trainings."""
    changes = {
        "permutenet.cells": [{"network": "gapnet", "permutation": "none", "task": "location"}],
        "permutenet.only": [],
        "permutenet.shared.training.epochs": 2,
        "permutenet.seeds": list(range(count)),
        "parallel.n_jobs": jobs,
    }
    compute("permutenet", changed(parameters(None), changes))


def trials(count: int) -> None:
    """So many trials."""
    settings = parameters("test")
    section = {**settings["sweep"], "experiment": "permutenet", "n_trials": count}
    sweep = Sweep.of(SweepParameters.model_validate(section), settings)
    assert len(list(search(sweep))) == count


def workers(count: int) -> None:
    """Six trainings in so many processes."""
    cells(6, count)


def measured(what: str, size: int) -> dict[str, float]:
    """Seconds, GiB of memory at the peak, and MiB of disk that one size takes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            str(Path(__file__).resolve()),
            f"--child={what}",
            f"--size={size}",
        ]
        source = str(Path(__file__).resolve().parents[1] / "src")
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, "PYTHONPATH": source},
                                   stdout=subprocess.PIPE)  # fmt: skip
        peak = [0]
        watcher = threading.Thread(target=_watch, args=(psutil.Process(process.pid), peak))
        watcher.start()
        output, _ = process.communicate()
        watcher.join()
        if process.returncode:
            sys.exit(f"{what} {size} failed")
        disk = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        seconds = json.loads(output.splitlines()[-1])["seconds"]
        return {"seconds": seconds, "GiB of memory": peak[0] / GIB, "MiB of disk": disk / MIB}


def _watch(process: psutil.Process, peak: list[int]) -> None:
    """Anonymous memory of a process and of those below it, ten times a second."""
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        try:
            family = [process, *process.children(recursive=True)]
            used = sum(each.memory_info().rss - each.memory_info().shared for each in family)
            peak[0] = max(peak[0], used)
        except psutil.NoSuchProcess:
            continue
        time.sleep(0.1)


def main() -> None:
    """Print the three sizes of each, and the fitted line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=SIZES)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        logging.disable(logging.INFO)
        start = time.perf_counter()
        globals()[arguments.child](arguments.size)
        print(json.dumps({"seconds": time.perf_counter() - start}))
        return
    for what in [arguments.only] if arguments.only else SIZES:
        found = {size: measured(what, size) for size in SIZES[what]}
        for quantity in next(iter(found.values())):
            values = [each[quantity] for each in found.values()]
            slope, start = np.polyfit(list(found), values, 1)
            seen = ", ".join(
                f"{size}: {value:.2f}" for size, value in zip(found, values, strict=True)
            )
            print(f"{what:8} {quantity:14} {seen}; {start:.2f} + {slope:.4f} per {what[:-1]}")


if __name__ == "__main__":
    main()
