"""What the page of an audit shows: figures and tables of each instrument."""

from collections.abc import Mapping
from math import isfinite

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from posinfo.experiment import Result
from posinfo.experiments.audit.cells import JudgeCell, deepest_map
from posinfo.experiments.audit.numbers import MEASURES, Number, summarise
from posinfo.experiments.audit.page import Section
from posinfo.experiments.audit.verdict import said
from posinfo.measures.audit_figures import (
    bars_figure,
    mean_maps_figure,
    rings_figure,
    shifts_figure,
    tiles_figure,
)
from posinfo.networks.surgery.padded_layers import PaddedLayer
from posinfo.networks.surgery.reach import Reach


def sections_of(
    cell: JudgeCell, results: Mapping[str, Result], found: Mapping[str, Number]
) -> list[Section]:
    """The sections of the page of one network, without those of what was not measured.

    Args:
        cell: the network, and what is said of it.
        results: by step, of this network.
        found: its numbers.
    """
    makers = (_padding, _reach, _context, _tiles, _shifts, _frames, _position)
    sections = [make(cell, results) for make in makers]
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


def _padding(cell: JudgeCell, results: Mapping[str, Result]) -> Section:
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


def _reach(cell: JudgeCell, results: Mapping[str, Result]) -> Section | None:
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


def _context(cell: JudgeCell, results: Mapping[str, Result]) -> Section | None:
    context = results["context"]
    if context.facts["refused"]:
        return None
    strides = context.facts["strides"]
    found = _tensors(context, "rings.")
    rings = {name: found[name] for name in strides}  # low to high
    found = _tensors(context, "mean_map.")
    maps = {name: found[name] for name in strides}
    text = (
        "The same pixels, once at the border of the image and once with "
        f"{context.facts['context']} px of the photograph around it: root mean square difference "
        "as a share of the map's size, mean over photographs. Below, the mean size of the "
        "activations at each place: lines along the border are artefacts."
    )
    figures: dict[str, Figure] = {
        "Error of each map by distance to the border": rings_figure(rings, strides, cell.tolerance),
        "Mean size of the activations": mean_maps_figure(maps),
    }
    return Section("context", "What the border changes inside", text, figures)


CURVES = {
    "error": "tiles",
    "same_statistics": "with averages of the whole picture",
    "seam": "at the cut alone",
}


def _tiles(cell: JudgeCell, results: Mapping[str, Result]) -> Section | None:
    tiles = results["tiles"]
    if tiles.facts["refused"]:
        return None
    summary, margins = summarise(tiles.table), tiles.facts["margins"]
    curves = {
        text: [summary[measure, str(margin)] for margin in margins]
        for measure, text in CURVES.items()
    }
    errors = {label: [(n.value, n.low, n.high) for n in of] for label, of in curves.items()}
    name = deepest_map(results["structure"])
    reach = Reach(*results["structure"].facts["reaches"][name]).margin if name else None
    figure = tiles_figure(margins, errors, cell.tolerance, reach)
    text = (
        f"A picture is cut into two tiles, and {name} of both is put together and compared with "
        "that of the whole picture: root mean square difference in the worst column, as a share "
        "of the map's size. Shades are 95 % intervals over photographs."
    )
    return Section("tiles", "Tiles and their overlap", text, {"Error of tiles": figure})


def _shifts(cell: JudgeCell, results: Mapping[str, Result]) -> Section | None:
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
    figure = shifts_figure(maps, cell.offsets)
    return Section("shifts", "The answer over all shifts", text, {"Answers by offset": figure})


def _frames(cell: JudgeCell, results: Mapping[str, Result]) -> Section | None:
    rows = results["answers"].table
    chosen = pd.DataFrame(rows[rows.measure.isin(["repadding", "batch_padding"])])
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


def _position(cell: JudgeCell, results: Mapping[str, Result]) -> Section | None:
    rows = results["position"].table
    if rows.empty:
        return None
    summary = summarise(rows)
    layers = list(dict.fromkeys(where for _, where in summary))
    columns = {
        pattern: [summary[f"position.{pattern}", layer][:3] for layer in layers]
        for pattern in cell.patterns
    }
    control = cell.patterns[-1]
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
