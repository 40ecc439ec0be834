"""What a trial of a sweep costs beyond what it computes.

    python benchmarks/sweep_overhead.py              # 30 trials of permutenet at --env=test

A study is searched, and then another one by the same sampler with the same seed, whose trials find
all results in the store. What these take is overhead: drawing settings, checking them, looking the
results up, telling Optuna's database and MLflow's.
"""

import argparse
import logging
import os
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

import mlflow
from kedro.config import OmegaConfigLoader

from posinfo.pipelines.sweep_pipeline import track
from posinfo.pipelines.sweep_settings import Sweep, SweepParameters
from posinfo.pipelines.sweeping import search
from posinfo.settings import CONFIG_LOADER_ARGS

CONF = Path(__file__).parents[1] / "conf"


def clocks() -> tuple[float, float]:
    """Wall time and this process's time on a processor, in seconds."""
    return time.perf_counter(), time.process_time()


def main() -> None:
    """Print the median and the spread of the overhead."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=30)
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    loader = OmegaConfigLoader(str(CONF), env="test", **CONFIG_LOADER_ARGS)
    parameters = loader["parameters"]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        mlflow.set_tracking_uri("sqlite:///mlflow.db")
        parameters |= {"store": "store", "parallel": {"n_jobs": 1, "threads_per_job": 1}}
        section = {**parameters["sweep"], "experiment": "permutenet", "n_trials": arguments.trials}
        with mlflow.start_run():
            for name in ("computed", "found"):
                asked = SweepParameters.model_validate({**section, "study": name})
                sweep = Sweep.of(asked, parameters)
                times, before = [], clocks()
                for done in search(sweep):
                    track(sweep, done)
                    times.append([now - then for now, then in zip(clocks(), before, strict=True)])
                    before = clocks()
                wall, cpu = (list(each) for each in zip(*times, strict=True))
                low, *_, high = quantiles(wall, n=10)
                print(
                    f"{name}: {median(wall):.3f} s per trial (median of {len(wall)}; 80 % from "
                    f"{low:.3f} to {high:.3f}), {median(cpu):.3f} s of them on a processor"
                )


if __name__ == "__main__":
    main()
