"""The page of each network, its audit.json, and what differs between two networks."""

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

import pandas as pd

from posinfo import __version__
from posinfo.experiment import Report, Result, Results
from posinfo.experiments.audit.gates import parse_gate
from posinfo.experiments.audit.numbers import Number, numbers
from posinfo.experiments.audit.page import page
from posinfo.experiments.audit.sections import sections_of
from posinfo.experiments.audit.settings import AuditSettings
from posinfo.experiments.audit.verdict import (
    SCHEMA,
    failures,
    regressions,
    sentences,
)
from posinfo.measures.paired_comparisons import comparisons_markdown, paired_comparisons
from posinfo.networks.models.audited import AuditedConfig
from posinfo.networks.surgery.padded_layers import PaddedLayer
from posinfo.networks.surgery.reach import Reach

STEPS = ("structure", "context", "tiles", "answers", "position")


def report(settings: AuditSettings, results: Results, published: pd.DataFrame) -> Report:
    """A folder per network with its page and audit.json; all scores; comparisons of networks."""
    pages: dict[str, bytes] = {}
    texts, frames = [], []
    for label, network in settings.networks.items():
        of_network = {step: results[step][label] for step in STEPS}
        made = audited(settings, label, network, of_network)
        pages |= {f"{label}/report.html": made["html"].encode()}
        record = json.dumps(made["record"], indent=1, allow_nan=False) + "\n"
        pages |= {f"{label}/audit.json": record.encode()}
        texts.append(_summary(label, made["record"]))
        rows = [each.rows for each in of_network.values() if each.rows is not None]
        frames.append(pd.concat(rows, ignore_index=True).assign(network=label))
    scores = pd.concat(frames, ignore_index=True)
    scores = scores.reindex(columns=["network", "measure", "where", "photograph", "value"])
    compared = _compared(scores)
    if len(settings.networks) > 1:
        texts.append(_compared_text(compared))
    return Report(
        tables={"scores": scores, "comparisons": compared},
        texts={"verdict": "\n\n".join(texts)},
        figures={},
        folders={"pages": pages},
    )


def audited(
    settings: AuditSettings, label: str, network: AuditedConfig, results: Mapping[str, Result]
) -> dict[str, Any]:
    """The page and the record of one network.

    Args:
        settings: of the audit.
        label: of the network.
        network: what was audited.
        results: by step.

    Raises:
        FileNotFoundError, ValueError: a baseline that cannot be compared with, or a condition on a
            number that was not measured.
    """
    section = settings.audit
    found = numbers(results, section.tolerance)
    verdict = sentences(results, found, section.image_size, section.tolerance)
    failed = failures([parse_gate(text) for text in section.fail_if], found)
    if baseline := settings.baseline_of_all():
        failed += regressions(found, baseline, section.baseline_tolerance)
    record = {
        "schema": SCHEMA,
        "posinfo": __version__,
        "label": label,
        "network": network.model_dump(mode="json"),
        "image_size": section.image_size,
        "passed": not failed,
        "failures": failed,
        "verdict": [each._asdict() for each in verdict],
        "numbers": {name: _plain(number) for name, number in found.items()},
        "padded": [PaddedLayer(*c)._asdict() for c in results["structure"].facts["padded"]],
        "reaches": {
            name: Reach(*reach)._asdict()
            for name, reach in results["structure"].facts["reaches"].items()
        },
    }
    html = page(record, sections_of(settings, results, found))
    return {"html": html, "record": record}


def _plain(number: Number) -> dict[str, Any]:
    """As JSON, which has no infinity."""
    return {name: value if isfinite(value) else None for name, value in number._asdict().items()}


def _summary(label: str, record: Mapping[str, Any]) -> str:
    outcome = "passed" if record["passed"] else "FAILED: " + "; ".join(record["failures"])
    lines = [f"- {each['text']}" for each in record["verdict"]]
    return "\n".join([f"**{label}**: {outcome}", "", *lines])


def _wide(scores: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """A row per network and photograph, a column per number."""
    chosen = pd.DataFrame(scores[scores.measure.isin(COMPARED)])
    names = [
        measure if where in ("", "crops") else f"{measure}.{where}"
        for measure, where in zip(chosen["measure"], chosen["where"], strict=True)
    ]
    wide = chosen.assign(number=names).pivot_table(
        index=["network", "photograph"], columns="number", values="value", sort=False
    )
    measures = [str(name) for name in wide.columns]
    return wide.reset_index().rename(columns={"network": "cell"}), measures


COMPARED = ("consistency", "unanimous", "wobble", "shift_error", "batch_padding", "repadding")


def _compared(scores: pd.DataFrame) -> pd.DataFrame:
    wide, measures = _wide(scores)
    return paired_comparisons(wide, [], measures, "photograph")


def _compared_text(compared: pd.DataFrame) -> str:
    names = {name: name for name in compared.measure.unique()}
    return comparisons_markdown(compared, [], names, "photograph")
