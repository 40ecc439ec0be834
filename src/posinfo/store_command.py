"""`posinfo store`: what lies in the store, and what of it can still be reached."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

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
def store_command(env: str | None, prune: bool, yes: bool) -> None:
    """List the results in the store by experiment and step, with size and age.

    A result is out of reach when no default run of any experiment would open it: settings, inputs
    or code have changed since, or it was made with --params. --prune names those results, and
    removes them with --yes.
    """
    bootstrap_project(Path.cwd())
    with KedroSession.create(env=env) as session:
        context = session.load_context()  # type: ignore[attr-defined]
        requests = [Request.of(each, context.params) for each in EXPERIMENTS.values()]
        published = context.catalog.load("published_numbers")
    store = requests[0].store
    reached = {report_identity(request, published)[0] for request in requests}
    for request in requests:
        reached |= {cell.key for cells in request.plan.values() for cell in cells.values()}
    lost = [key for key in store if key not in reached]
    checkpoints = store.checkpoints() - {store.checkpoint(key) for key in reached}
    console = get_console()
    console.print(_table(store, set(lost)))
    if prune:
        for name in [*lost, *sorted(checkpoints)]:
            console.print(str(name), highlight=False, soft_wrap=True)
        said = f"{len(lost)} results, {_megabytes(store, lost)} MB, {len(checkpoints)} checkpoints"
        console.print(f"{said} {'removed' if yes else 'out of reach: --yes removes them'}")
        if yes:
            for key in lost:
                store.remove(key)
            for path in checkpoints:
                path.unlink()


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
    created = datetime.fromisoformat(store.record(key)["created"])
    return (datetime.now(UTC) - created).total_seconds() / 86_400
