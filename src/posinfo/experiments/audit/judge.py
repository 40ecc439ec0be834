"""The last step: all numbers of a network, the verdict on it, and its page."""

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

import pandas as pd

from posinfo import __version__
from posinfo.experiment import Inputs, Result
from posinfo.experiments.audit.cells import JudgeCell
from posinfo.experiments.audit.gates import parse_gate
from posinfo.experiments.audit.numbers import Number, numbers
from posinfo.experiments.audit.page import page
from posinfo.experiments.audit.sections import sections_of
from posinfo.experiments.audit.verdict import SCHEMA, failures, regressions, sentences
from posinfo.networks.surgery.padded_layers import PaddedLayer
from posinfo.networks.surgery.reach import Reach
from posinfo.work import Work

PAGE, RECORD = "report.html", "audit.json"


def run(cell: JudgeCell, inputs: Inputs, work: Work) -> Result:
    """What an audit ends in.

    Returns:
        A row with a column for each number; files ``report.html`` and ``audit.json``.
    """
    found = numbers(inputs, cell.tolerance)
    failed = failures([parse_gate(text) for text in cell.fail_if], found)
    if cell.baseline:
        failed += regressions(found, cell.baseline, cell.baseline_tolerance)
    verdict = sentences(inputs, found, cell.image_size, cell.tolerance)
    structure = inputs["structure"].facts
    record = {
        "schema": SCHEMA,
        "posinfo": __version__,
        "label": cell.label,
        "network": cell.network.model_dump(mode="json"),
        "image_size": cell.image_size,
        "protocol": cell.protocol,
        "passed": not failed,
        "failures": failed,
        "verdict": [each._asdict() for each in verdict],
        "numbers": {name: _plain(number) for name, number in found.items()},
        "padded": [PaddedLayer(*call)._asdict() for call in structure["padded"]],
        "reaches": {n: Reach(*reach)._asdict() for n, reach in structure["reaches"].items()},
    }
    html = page(record, sections_of(cell, inputs, found))
    text = json.dumps(record, indent=1, allow_nan=False) + "\n"
    values = {name: [number.value] for name, number in found.items()}
    return Result(rows=pd.DataFrame(values), files={PAGE: html.encode(), RECORD: text.encode()})


def record_of(judged: Result) -> Mapping[str, Any]:
    """What audit.json holds."""
    return json.loads(judged.files[RECORD])


def _plain(number: Number) -> dict[str, Any]:
    """As JSON, which has no infinity."""
    return {name: value if isfinite(value) else None for name, value in number._asdict().items()}
