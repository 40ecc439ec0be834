"""`posinfo store`: what lies in the store, and what of it can still be reached."""

import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from math import nan
from pathlib import Path
from typing import Any

import click
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from rich import get_console
from rich.table import Table

from posinfo.experiments import EXPERIMENTS
from posinfo.pipelines.reports import report_identity
from posinfo.pipelines.requests import Request
from posinfo.store import Store

MEGABYTE = 1e6


@click.command("store")
@click.option("--env", help="Environment of conf/ whose store it is, as for `kedro run`.")
@click.option("--prune", is_flag=True, help="Say what could be removed.")
@click.option("--yes", is_flag=True, help="With --prune: remove it.")
@click.option("--check", "whole", is_flag=True, help="Read every file and name the damaged ones.")
def store_command(env: str | None, prune: bool, yes: bool, whole: bool) -> None:
    """List the results in the store by experiment and step, with size and age.

    A result is out of reach when no default run of any experiment would open it: settings, inputs
    or code have changed since, or it was made with --params or --config, or on another device or
    in another precision. --prune names those results, and removes them with --yes. Damaged results
    are computed again by the next run that needs them.
    """
    if yes and not prune:
        raise click.UsageError("--yes goes with --prune")
    bootstrap_project(Path.cwd())
    with KedroSession.create(env=env) as session:
        context = session.load_context()  # type: ignore[attr-defined]
        published = context.catalog.load("published_numbers")
        configured = context.config_loader["parameters"]
    console, store = get_console(), Store(Path(configured["store"]))
    reached, unknown = set[str](), set[str]()
    for experiment in EXPERIMENTS.values():
        try:
            for parameters in (configured, _of_all_cells(configured)):
                request = Request.of(experiment, parameters)
                reached |= {cell.key for step in request.plan.values() for cell in step.values()}
                reached.add(report_identity(request, published)[0])
        except (OSError, ValueError) as error:
            unknown |= {experiment.name, experiment.family}
            console.print(f"nothing of {experiment.name} is called out of reach: {error}")
    lost = [key for key in store if key not in reached and key.partition("/")[0] not in unknown]
    console.print(_table(store, set(lost)))
    if whole:
        damaged = [said for key in store if (said := store.damage(key))]
        for said in damaged:
            console.print(said, highlight=False, soft_wrap=True)
        console.print(f"{len(damaged)} damaged results")
        if damaged:
            raise click.exceptions.Exit(1)
    if prune:
        begun = {path for path in store.checkpoints() if path.name.partition("-")[0] not in unknown}
        unfinished = begun - {store.checkpoint(key) for key in reached}
        _prune(store, lost, [*sorted(unfinished), *store.leftovers()], yes=yes)


def _of_all_cells(parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters without any choice of cells: what `only` leaves out is still in reach."""
    return {
        name: {**section, "only": []}
        if isinstance(section, dict) and "only" in section
        else section
        for name, section in parameters.items()
    }


def _prune(store: Store, lost: list[str], unfinished: list[Path], *, yes: bool) -> None:
    console = get_console()
    for name in [*lost, *unfinished]:
        console.print(str(name), highlight=False, soft_wrap=True)
    said = f"{len(lost)} results, {_megabytes(store, lost)} MB, {len(unfinished)} unfinished"
    console.print(f"{said} {'removed' if yes else 'out of reach: --yes removes them'}")
    if yes:
        for key in lost:
            store.remove(key)
        for path in unfinished:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _table(store: Store, lost: set[str]) -> Table:
    table = Table("experiment", "step", "results", "MB", "newest", "oldest", "out of reach", "MB")
    steps: dict[tuple[str, str], list[str]] = {}
    for key in store:
        experiment, step, _ = key.split("/")
        steps.setdefault((experiment, step), []).append(key)
    for (experiment, step), keys in steps.items():
        ages = sorted(_days(store, key) for key in keys)
        gone = [key for key in keys if key in lost]
        table.add_row(
            *(experiment, step, str(len(keys)), _megabytes(store, keys)),
            *(f"{ages[0]:.0f} d", f"{ages[-1]:.0f} d", str(len(gone)), _megabytes(store, gone)),
        )
    return table


def _megabytes(store: Store, keys: Iterable[str]) -> str:
    return f"{sum(store.size(key) for key in keys) / MEGABYTE:.1f}"


def _days(store: Store, key: str) -> float:
    try:
        created = datetime.fromisoformat(store.record(key)["created"])
    except (KeyError, ValueError):  # damaged: a run that needs it says so
        return nan
    return (datetime.now(UTC) - created).total_seconds() / 86_400
