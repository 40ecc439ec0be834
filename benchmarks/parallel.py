"""Cells per minute of several processes against one, at the same number of threads each.

    python benchmarks/parallel.py                 # loky, two processes of one thread: minutes
    python benchmarks/parallel.py --backend=ray   # a local Ray cluster

The cells are trainings of permutenet by its default settings, but for their number of epochs. Each
round trains all of them twice, in one process and in several, each time into an empty store. What
processes need to start is warmed up before, and the results are compared bit for bit.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from kedro.config import OmegaConfigLoader

from posinfo.experiments import EXPERIMENTS
from posinfo.pipelines.requests import Request
from posinfo.pipelines.runner import run_step
from posinfo.pipelines.search_space import changed
from posinfo.settings import CONFIG_LOADER_ARGS

CONF = Path(__file__).parents[1] / "conf"


def parameters() -> dict:
    """Those of a run without an environment."""
    return OmegaConfigLoader(str(CONF), **CONFIG_LOADER_ARGS)["parameters"]


def run(store: Path, cells: int, epochs: int, parallel: dict) -> tuple[float, Request]:
    """Seconds that the trainings take, without the images that they share."""
    changes = {
        "parallel": {"threads_per_job": 1, "gpus_per_job": None, **parallel},
        "store": str(store),
        "permutenet.cells": [{"network": "gapnet", "permutation": "none", "task": "location"}],
        "permutenet.only": [],
        "permutenet.shared.training.epochs": epochs,
        "permutenet.seeds": list(range(cells)),
    }
    request = Request.of(EXPERIMENTS["permutenet"], changed(parameters(), changes))
    images, train, _ = request.plan.values()
    run_step(list(images.values()), request.store, request.machine)
    start = time.perf_counter()
    run_step(list(train.values()), request.store, request.machine)
    return time.perf_counter() - start, request


def main() -> None:
    """Print cells per minute, the ratio of each round and their median."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--backend", default="loky", choices=("loky", "ray"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    several = {"backend": arguments.backend, "n_jobs": arguments.jobs}
    alone = {"backend": "sequential", "n_jobs": 1}
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder, "warm"), arguments.jobs, 1, several)
        for number in range(arguments.rounds):
            made = [
                run(Path(folder, f"{name}{number}"), arguments.cells, arguments.epochs, parallel)
                for name, parallel in (("one", alone), ("several", several))
            ]
            (one, first), (more, second) = made
            for cell in first.plan["train"].values():
                results = [request.store.open(cell.key).tensors for request in (first, second)]
                assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])
            ratios.append(one / more)
            rates = [60 * arguments.cells / seconds for seconds in (one, more)]
            print(
                f"one process: {rates[0]:.1f} cells per minute; {arguments.jobs} of "
                f"{arguments.backend}: {rates[1]:.1f}; ratio {ratios[-1]:.2f}"
            )
    print(f"ratio: {median(ratios):.2f} (median of {arguments.rounds} rounds), the same bits")


if __name__ == "__main__":
    main()
