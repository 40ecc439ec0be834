"""Kedro hooks: refuse unknown parameters before anything runs, and say where the results are."""

import atexit
import os
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro_datasets.text import TextDataset
from rich import get_console

from posinfo.choices import check
from posinfo.pipelines import permutenet, posenet_ablations, tracking

REPORTING = "08_reporting"


class ParameterHooks:
    """What Kedro's check of single parameters cannot see, before any node runs."""

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Raises ``ValueError`` for a top-level parameter that no pipeline reads, or a bad cell.

        Kedro accepts any top-level key; a misspelt one would be ignored.
        """
        known = {
            name.removeprefix("params:").partition(".")[0]
            for pipeline in pipelines.values()
            for name in pipeline.inputs()
            if name.startswith("params:")
        }
        parameters = catalog.load("parameters")
        for name in parameters:
            if not name.startswith("_"):  # as in the catalog: only other values refer to it
                check("parameter", name, sorted(known))
        for experiment in (posenet_ablations, permutenet):
            if f"params:{experiment.__name__.rpartition('.')[2]}" in pipeline.inputs():
                experiment.check_parameters(parameters)


class TrackingHooks:
    """The parent run ends as the pipeline did; left to itself, MLflow would call it finished."""

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Ctrl-C reaches no hook of Kedro's, but it reaches this."""
        atexit.register(tracking.end_runs)

    @hook_impl(trylast=True)
    def on_pipeline_error(self) -> None:
        """A node has failed."""
        tracking.end_runs("FAILED")

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        """All nodes are done."""
        tracking.end_runs("FINISHED")


class ReportHooks:
    """What a run ends with."""

    @hook_impl
    def after_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol
    ) -> None:
        """Print every text that the run reports, and the path of every report."""
        outputs = [catalog.get(name) for name in sorted(pipeline.all_outputs())]
        reports = [dataset for dataset in outputs if REPORTING in _path(dataset)]
        for dataset in reports:
            if isinstance(dataset, TextDataset):
                print(dataset.load())  # noqa: T201 - a console would wrap the table
        console = get_console()
        for dataset in reports:
            console.print(os.path.relpath(_path(dataset)), highlight=False, soft_wrap=True)
        if reports:
            console.print(f"MLflow: {tracking.page()}", highlight=False, soft_wrap=True)


def _path(dataset: object) -> str:
    return str(getattr(dataset, "_filepath", ""))
