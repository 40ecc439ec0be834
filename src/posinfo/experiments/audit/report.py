"""The page of each network, its audit.json, and what differs between two networks."""

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from posinfo import __version__
from posinfo.experiment import Report, Result, Results
from posinfo.experiments.audit.cells import deepest_map
from posinfo.experiments.audit.gates import parse_gate
from posinfo.experiments.audit.numbers import MEASURES, Number, numbers, summarise
from posinfo.experiments.audit.page import Section, page
from posinfo.experiments.audit.settings import AuditSettings
from posinfo.experiments.audit.verdict import (
    SCHEMA,
    failures,
    read_baseline,
    regressions,
    said,
    sentences,
)
from posinfo.measures.audit_figures import (
    bars_figure,
    mean_maps_figure,
    rings_figure,
    shifts_figure,
    tiles_figure,
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
    if section.baseline is not None:
        baseline = read_baseline(section.baseline, "audit.baseline")
        if baseline["network"] != network.model_dump(mode="json"):
            raise ValueError(f"audit.baseline: {section.baseline} is of another network")
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
    html = page(record, _sections(settings, results, found))
    return {"html": html, "record": record}


def _plain(number: Number) -> dict[str, float | None]:
    """As JSON, which has no infinity."""
    return {
        name: value if isfinite(value) else None for name, value in number._asdict().items()
    }


def _summary(label: str, record: Mapping[str, Any]) -> str:
    outcome = "passed" if record["passed"] else "FAILED: " + "; ".join(record["failures"])
    lines = [f"- {each['text']}" for each in record["verdict"]]
    return "\n".join([f"**{label}**: {outcome}", "", *lines])


def _wide(scores: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """A row per network and photograph, a column per number."""
    of = scores[(scores.photograph != "") & scores.measure.isin(COMPARED)]
    names = of.measure + of["where"].where(of["where"].isin(["", "crops"]), "." + of["where"])
    names = names.str.removesuffix("crops")
    wide = of.assign(number=names).pivot_table(
        index=["network", "photograph"], columns="number", values="value", sort=False
    )
    measures = {str(name): str(name) for name in wide.columns}
    return wide.reset_index().rename(columns={"network": "cell"}), measures


COMPARED = ("consistency", "unanimous", "wobble", "shift_error", "batch_padding", "repadding")


def _compared(scores: pd.DataFrame) -> pd.DataFrame:
    wide, measures = _wide(scores)
    return paired_comparisons(wide, [], list(measures), "photograph")


def _compared_text(compared: pd.DataFrame) -> str:
    names = {name: name for name in compared.measure.unique()}
    return comparisons_markdown(compared, [], names, "photograph")


def _sections(
    settings: AuditSettings, results: Mapping[str, Result], found: Mapping[str, Number]
) -> list[Section]:
    makers = (_padding, _reach, _context, _tiles, _shifts, _frames, _position)
    sections = [make(settings, results) for make in makers]
    rows = [
        {
            "number": name,
            "value": said(number.value),
            "95 % interval": f"{number.low:.3g} to {number.high:.3g}"
            if isfinite(number.low)
            else "",
            "photographs": number.n or "",
            "unit": MEASURES[name.partition(".")[0]].unit,
            "what it is": MEASURES[name.partition(".")[0]].text,
        }
        for name, number in found.items()
    ]
    table = Section("numbers", "All numbers", "", table=pd.DataFrame(rows))
    return [*(each for each in sections if each is not None), table]


def _padding(settings: AuditSettings, results: Mapping[str, Result]) -> Section:
    facts = results["structure"].facts
    rows = [
        {
            "layer": call.layer or "(the network itself)",
            "function": call.function,
            "mode": call.mode,
            "map": f"{call.sides[0]}x{call.sides[1]}",
            "window": f"{call.window[0]}x{call.window[1]}",
            "stride": call.stride[0],
            "left, right, top, bottom": ", ".join(map(str, call.edges)),
            "used": ", ".join(map(str, call.used)),
            "even": "yes" if call.even else "no",
        }
        for call in (PaddedLayer(*call) for call in facts["padded"])
    ]
    sizes = ", ".join(f"{size} px" for size in facts["even_sizes"]) or "none within 40 px"
    text = (
        "Padding in pixels of the map, as the layer asks for it, and what of it a window reads. "
        "Below 0, so many pixels of the map itself are read by no window. Nearest image sizes at "
        f"which all are even: {sizes}."
    )
    return Section("padding", "What is padded", text, table=pd.DataFrame(rows))


def _reach(settings: AuditSettings, results: Mapping[str, Result]) -> Section | None:
    reaches = results["structure"].facts["reaches"]
    if not reaches:
        return None
    rows = [
        {"map": name} | {field: "no end" if value is None else value for field, value in
         Reach(*reach)._asdict().items()}
        for name, reach in reaches.items()
    ]  # fmt: skip
    text = (
        "How far a cut through the image is felt, in pixels of the image, found by filling one "
        "side of it with NaN; no weights and no photographs matter. Before: in front of the cut; "
        "after: behind it; field: the receptive field."
    )
    return Section("reach", "How far a pixel reaches", text, table=pd.DataFrame(rows))


def _context(settings: AuditSettings, results: Mapping[str, Result]) -> Section | None:
    context = results["context"]
    if context.facts["refused"]:
        return None
    rings = _tensors(context, "rings.")
    strides = context.facts["strides"]
    maps = {name: values for name, values in _tensors(context, "mean_map.").items()}
    text = (
        "The same pixels, once at the border of the image and once with "
        f"{context.facts['context']} px of the photograph around it: root mean square difference "
        "as a share of the map's size, mean over photographs. Below, the mean size of the "
        "activations at each place: lines along the border are artefacts."
    )
    figures: dict[str, Figure] = {
        "Error of each map by distance to the border": rings_figure(
            rings, strides, settings.audit.tolerance
        ),
        "Mean size of the activations": mean_maps_figure(maps),
    }
    return Section("context", "What the border changes inside", text, figures)


def _tiles(settings: AuditSettings, results: Mapping[str, Result]) -> Section | None:
    tiles = results["tiles"]
    if tiles.facts["refused"]:
        return None
    summary, margins = summarise(tiles.table), tiles.facts["margins"]
    curves = {
        "tiles": [summary["error", str(margin)] for margin in margins],
        "with averages of the whole image": [
            summary["same_statistics", str(margin)] for margin in margins
        ],
        "at the cut alone": [summary["seam", str(margin)] for margin in margins],
    }
    errors = {label: [(n.value, n.low, n.high) for n in of] for label, of in curves.items()}
    name = deepest_map(results["structure"])
    reach = Reach(*results["structure"].facts["reaches"][name]).margin if name else None
    figure = tiles_figure(margins, errors, settings.audit.tolerance, reach)
    text = (
        f"A picture is cut into two tiles, and {name} of both is put together and compared with "
        "that of the whole picture: root mean square difference in the worst column, as a share "
        "of the map's size. Shades are 95 % intervals over photographs."
    )
    return Section("tiles", "Tiles and their overlap", text, {"Error of tiles": figure})


def _shifts(settings: AuditSettings, results: Mapping[str, Result]) -> Section | None:
    answers = results["answers"]
    agreement = _tensors(answers, "agreement.")
    if not agreement:
        return None
    confidence = _tensors(answers, "confidence.")
    maps = {f"same class, {where}": values for where, values in agreement.items()}
    maps |= {f"confidence, {where}": values for where, values in confidence.items()}
    text = (
        "For each place of the window (its first row and column, in pixels): the share of "
        "photographs with the class of the window in the middle, and the mean confidence in that "
        "class. Crops: real pixels come into view; circular: the window is turned around."
    )
    figure = shifts_figure(maps, settings.audit.offsets)
    return Section("shifts", "The answer over all shifts", text, {"Answers by offset": figure})


def _frames(settings: AuditSettings, results: Mapping[str, Result]) -> Section | None:
    rows = results["answers"].table
    chosen = rows[rows.measure.isin(["repadding", "batch_padding"])]
    if chosen.empty:
        return None
    bars = {
        where or "zeros in a batch": [(number.value, number.low, number.high)]
        for (_, where), number in summarise(chosen).items()
    }
    values = pd.DataFrame(bars, index=["change"]).T
    text = (
        "Change of the answer with another padding and the same weights, and with zeros that fill "
        "a batch: share of other classes, or relative error of an output that is a map."
    )
    figure = bars_figure(values, "change")
    return Section("frames", "Other frames around the image", text, {"Changes": figure})


def _position(settings: AuditSettings, results: Mapping[str, Result]) -> Section | None:
    rows = results["position"].table
    if rows.empty:
        return None
    summary = summarise(rows)
    layers = list(dict.fromkeys(where for _, where in summary))
    columns = {
        pattern: [summary[f"position.{pattern}", layer][:3] for layer in layers]
        for pattern in settings.audit.position.patterns
    }
    control = settings.audit.position.patterns[-1]
    text = (
        "Spearman's correlation of what the best linear readout says of test photographs with "
        f"each pattern; {control} is a random map of the same values, which tells how much a "
        "readout finds that is not position."
    )
    figure = bars_figure(pd.DataFrame(columns, index=layers), "correlation")
    return Section("position", "Position that can be read", text, {"Readouts": figure})


def _tensors(result: Result, prefix: str) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(prefix): tensor.float().numpy()
        for name, tensor in result.tensors.items()
        if name.startswith(prefix)
    }


