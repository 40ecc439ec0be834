"""The last node of every experiment: tables, texts and pictures from results alone."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from posinfo.code_key import code_key
from posinfo.experiment import Experiment, Report, Result
from posinfo.pipelines import tracking
from posinfo.pipelines.requests import Request
from posinfo.plan import digest
from posinfo.store import FILES


def report_files(experiment: Experiment) -> dict[str, str]:
    """File by the catalog's name of each part of the report, in order; a folder ends in a slash."""
    parts = {"table csv": experiment.tables, "text md": experiment.texts}
    parts["figure png"] = experiment.figures
    files = [(*part.split(), name) for part, names in parts.items() for name in names]
    named = {f"{experiment.name}.{name}_{kind}": f"{name}.{end}" for kind, end, name in files}
    return named | {f"{experiment.name}.{name}_folder": f"{name}/" for name in experiment.folders}


def make_report(request: Request, inputs: Sequence[Any]) -> list[Any]:
    """The files and folders of ``report_files``, made of results in the store and kept there.

    The first input is the published numbers. A ``ValueError`` names results that are missing.
    """
    published, store = inputs[0], request.store
    key, identity = report_identity(request, published)
    steps = [request.plan[step].values() for step in request.experiment.report_steps]
    cells = [cell for step in steps for cell in step]
    missing = [f"{cell.step.name} of {cell.label!r}" for cell in cells if cell.key not in store]
    if missing:
        raise ValueError(
            f"the results of {', '.join(missing)} were never made with these settings: "
            "run the stage `evaluation`, or the whole pipeline, again"
        )
    if key not in store:
        names = request.experiment.report_steps  # those without cells, too
        results: dict[str, dict[str, Result]] = {name: {} for name in names}
        for cell in cells:
            results[cell.step.name][cell.label] = store.open(cell.key)
        report = request.experiment.report(request.settings, results, published)
        store.add(key, identity, lambda folder: Result(files=_rendered(report)))
    files = store.open(key).files
    tracking.log_files(store.path(key) / FILES)
    return [_saved(name, files) for name in report_files(request.experiment).values()]


def report_identity(request: Request, published: pd.DataFrame) -> tuple[str, dict[str, Any]]:
    """The key of a report, and all that it depends on."""
    experiment = request.experiment
    steps = [(step, request.plan[step].items()) for step in experiment.report_steps]
    identity = {
        "settings": request.settings.model_dump(mode="json"),
        "inputs": {f"{step}/{label}": cell.key for step, cells in steps for label, cell in cells},
        "code": code_key([experiment.report.__module__]),
        "files": list(report_files(experiment).values()),
        "published": hashlib.sha256(published.to_csv().encode()).hexdigest(),
    }
    return f"{experiment.name}/report/{digest(identity)}", identity


def _rendered(report: Report) -> Mapping[str, bytes]:
    files = {f"{n}.csv": t.to_csv(index=False).encode() for n, t in report.tables.items()}
    files |= {f"{name}.md": text.encode() for name, text in report.texts.items()}
    for folder, inside in report.folders.items():
        files |= {f"{folder}/{name}": content for name, content in inside.items()}
    return files | pictures(report.figures)


def _saved(name: str, files: Mapping[str, bytes]) -> Any:
    """What the catalog saves under a name of ``report_files``."""
    if name.endswith("/"):
        inside = {n: content for n, content in files.items() if n.startswith(name)}
        return {n.removeprefix(name): content for n, content in inside.items()}
    return files[name].decode() if name.endswith(".md") else files[name]


def pictures(figures: Mapping[str, Figure]) -> dict[str, bytes]:
    """Figures by name as PNG files by name with suffix."""
    files = {}
    for name, figure in figures.items():
        picture = io.BytesIO()
        figure.draw_without_rendering()  # a constrained layout settles when it is drawn again
        figure.savefig(picture, format="png")
        files[f"{name}.png"] = picture.getvalue()
    return files
