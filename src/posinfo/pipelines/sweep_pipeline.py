"""The Kedro pipeline `sweep`: a node that searches, and one that reports."""

import logging
from statistics import fmean, stdev
from typing import Any

from kedro.pipeline import Node, Pipeline

from posinfo.experiments import EXPERIMENTS
from posinfo.pipelines import tracking
from posinfo.pipelines.reports import pictures
from posinfo.pipelines.requests import SHARED
from posinfo.pipelines.sweep_settings import Sweep, SweepParameters
from posinfo.pipelines.sweeping import Done, search
from posinfo.pipelines.sweeping_report import make_report, trials_table
from posinfo.pipelines.sweeping_storage import locked, open_study, reachable

TABLES = ("sweep.trials_table", "sweep.best_table", "sweep.comparisons_table")
REPORTED = (*TABLES[1:], "sweep.summary_text", "sweep.plots", "sweep.configurations")

log = logging.getLogger(__name__)


def create_sweep() -> Pipeline:
    """Searches the settings of one experiment, and reports what was found."""
    fields = (name for each in EXPERIMENTS.values() for name in each.settings.model_fields)
    sections = list(dict.fromkeys([*fields, *SHARED]))
    parameters = [f"params:{name}" for name in ("sweep", *sections)]

    def search_settings(sweep: SweepParameters, *values: Any) -> bytes:
        asked = Sweep.of(sweep, dict(zip(sections, values, strict=True)))
        with reachable(sweep.storage):
            for done in search(asked):
                track(asked, done)
            return trials_table(open_study(asked), asked).to_csv(index=False).encode()

    def report(sweep: SweepParameters, *values: Any) -> list[Any]:
        # the last of `values` are the trials, which have to be there
        asked = Sweep.of(sweep, dict(zip(sections, values[:-1], strict=True)))
        study = open_study(asked)
        # one measures on test images, others find it done
        with reachable(sweep.storage), locked(sweep.storage, asked.study):
            made = make_report(study, asked)
        best, comparisons = (each.to_csv(index=False) for each in (made.best, made.comparisons))
        texts = {"best.csv": best, "comparisons.csv": comparisons, "summary.md": made.summary}
        texts |= {f"{name}.yml": text for name, text in made.configurations.items()}
        tracking.log_texts(texts, made.plots)
        tables = best.encode(), comparisons.encode()
        configurations = {f"{n}.yml": text.encode() for n, text in made.configurations.items()}
        return [*tables, made.summary, pictures(made.plots), configurations]

    return Pipeline(
        [
            Node(
                search_settings, parameters, TABLES[0],
                name="search", tags="sweep", namespace="sweep",
            ),
            Node(
                report, [*parameters, TABLES[0]], list(REPORTED),
                name="report", tags="sweep", namespace="sweep",
            ),
        ]
    )  # fmt: skip


def track(sweep: Sweep, done: Done) -> None:
    """A line of the log and a child run for a trial."""
    means = {name: fmean(values) for name, values in done.measured.items()}
    spread = {f"{name}_sd": stdev(v) for name, v in done.measured.items() if len(v) > 1}
    failure = done.failure
    said = (
        failure.said if failure else ", ".join(f"{name} {mean:.4g}" for name, mean in means.items())
    )
    log.info(
        "trial %d %s in %.1f s%s",
        done.number,
        done.state,
        done.seconds,
        f": {said}" if said else "",
    )
    if failure:
        log.debug("traceback of trial %d:\n%s", done.number, failure.trace)
    history = {
        f"{name}_{label}": curve
        for label, curves in done.history.items()
        for name, curve in curves.items()
    }
    tags = {"study": sweep.study, "state": done.state}
    tracking.log_cell(
        f"trial {done.number}",
        done.changes,
        {**means, **spread, "seconds": done.seconds},
        history,
        tags=tags | ({"error": failure.said[:5000]} if failure else {}),
        failed=done.state == "failed",
    )
