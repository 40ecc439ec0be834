"""Kedro hooks: refuse unknown parameters before anything runs, and say where the results are."""

import atexit
import logging
import os
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro_datasets.text import TextDataset
from rich import get_console

from posinfo.choices import check
from posinfo.experiments import EXPERIMENTS
from posinfo.pipelines import sweeping, tracking, tracking_store
from posinfo.pipelines.console import said_by
from posinfo.pipelines.datasets import ResultsDataset, TableFile
from posinfo.pipelines.factory import results_name
from posinfo.pipelines.reports import report_files, report_identity
from posinfo.pipelines.requests import Request, forget_plans
from posinfo.pipelines.sweep_settings import Sweep, SweepParameters

REPORTING = "08_reporting"

log = logging.getLogger(__name__)


class RequestHooks:
    """What Kedro's check of single parameters cannot see, before any node runs."""

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Refuse what cannot be computed, and say what will be.

        Raises:
            FileNotFoundError, ValueError: a top-level parameter that no pipeline reads, which
                Kedro would ignore, or a cell that cannot be computed.
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
        forget_plans()
        nodes = {node.name for node in pipeline.nodes}
        for experiment in EXPERIMENTS.values():
            if any(name.startswith(f"{experiment.name}.") for name in nodes):
                _prepare(Request.of(experiment, parameters), nodes, catalog)
        if any(name.startswith("sweep.") for name in nodes):
            settings = SweepParameters.model_validate(parameters["sweep"])
            sweeping.prepare(Sweep.of(settings, parameters))


def _prepare(request: Request, nodes: set[str], catalog: CatalogProtocol) -> None:
    """Check the cells that are missing, and tell the catalog which results are those of today."""
    experiment, store, work = request.experiment, request.store, []
    for step in experiment.steps:
        cells = request.plan[step.name]
        if f"{experiment.name}.{step.name}" not in nodes:
            continue
        missing = [cell for cell in cells.values() if cell.key not in store]
        for cell in missing:
            try:
                cell.cell.check()
            except Exception as error:  # of a user's own network: anything
                said = f"{experiment.name}: {cell.label}: {said_by(error)}"
                raise ValueError(said) from error
        dataset = catalog.get(results_name(experiment, step))
        assert isinstance(dataset, ResultsDataset)
        dataset.expected = {label: cell.key for label, cell in cells.items()}
        work.append(f"{step.name} {len(missing)} of {len(cells)}")
    if f"{experiment.name}.report" in nodes:
        _expect_report(request, catalog)
    if work:
        log.info("%s: to compute: %s", experiment.name, ", ".join(work))


def _expect_report(request: Request, catalog: CatalogProtocol) -> None:
    """Tell the catalog which tables are those of today's settings; none, if they are to be made."""
    key, _ = report_identity(request, catalog.load("published_numbers"))
    files = request.store.open(key).files if key in request.store else {}
    for name, file in report_files(request.experiment).items():
        dataset = catalog.get(name)
        if isinstance(dataset, TableFile):
            dataset.expected = files.get(file, b"")


class TrackingHooks:
    """The parent run ends as the pipeline did; left to itself, MLflow would call it finished."""

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Before kedro-mlflow opens the database.

        Raises:
            ValueError: there is no such environment, or the database cannot be used.
        """
        source = Path(str(context.config_loader.conf_source))
        if source.is_dir() and context.env:
            folders = sorted(path.name for path in source.iterdir() if path.is_dir())
            check("--env (a folder of conf/)", context.env, folders)
        _take_credentials(context)
        try:
            tracking_store.prepare(context.config_loader["mlflow"])
        except MissingConfigException:
            log.debug("there is no mlflow.yml: kedro-mlflow has defaults")

    @hook_impl(trylast=True)
    def before_pipeline_run(self) -> None:
        """Ctrl-C reaches no hook of Kedro's, but it reaches this."""
        atexit.register(tracking.end_runs)
        tracking.begin()

    @hook_impl(trylast=True)
    def on_pipeline_error(self) -> None:
        """A node has failed."""
        tracking.end_runs("FAILED")

    @hook_impl(trylast=True)
    def after_pipeline_run(self) -> None:
        """All nodes are done."""
        tracking.end_runs("FINISHED")


def _take_credentials(context: KedroContext) -> None:
    """Environment variables of conf/local/credentials.yml, unless they are set already."""
    try:
        known = context.config_loader["credentials"].get("environment") or {}
    except MissingConfigException:
        return
    for name, value in known.items():
        os.environ.setdefault(str(name), str(value))
    tracking_store.hide_credentials()


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
