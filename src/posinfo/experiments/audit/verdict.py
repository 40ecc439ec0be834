"""What an audit says, in sentences with numbers, and whether it passes."""

import json
from collections.abc import Mapping, Sequence
from math import inf, isfinite
from pathlib import Path
from typing import Any, NamedTuple

from posinfo.experiment import Result
from posinfo.experiments.audit.cells import deepest_map
from posinfo.experiments.audit.gates import Gate
from posinfo.experiments.audit.numbers import HIGHER, LOWER, MEASURES, Number
from posinfo.networks.surgery.padded_layers import PaddedLayer
from posinfo.networks.surgery.reach import Reach

SCHEMA = "posinfo.audit/1"
REMAINS = 0.5  # share of a tile's error below which averages over the image explain it


class Sentence(NamedTuple):
    """A sentence of the verdict.

    Attributes:
        text: the sentence, with its numbers.
        rests_on: what it was measured on.
        anchor: id of the section of the page that shows it.
    """

    text: str
    rests_on: str
    anchor: str


def sentences(
    results: Mapping[str, Result], numbers: Mapping[str, Number], image_size: int, tolerance: float
) -> list[Sentence]:
    """The verdict on a network.

    Args:
        results: by step, of this network.
        numbers: see ``posinfo.experiments.audit.numbers``.
        image_size: side of its images, in pixels.
        tolerance: error below which a map counts as the same.
    """
    structure = results["structure"]
    said = [
        *_on_padding(structure, image_size),
        *_on_reach(structure),
        *_on_tiles(results["tiles"], numbers, tolerance),
        *_on_context(results["context"], numbers, structure),
        *_on_answers(numbers, tolerance),
        *_on_position(numbers),
    ]
    refused = {
        "reach": structure.facts["refused"],
        "tiles": results["tiles"].facts["refused"],
        "context": results["context"].facts["refused"],
        **results["answers"].facts["refused"],
    }
    for name, reason in refused.items():
        if reason:
            said.append(Sentence(f"Not measured: {name}: {reason}.", "", "numbers"))
    return said


def failures(gates: Sequence[Gate], numbers: Mapping[str, Number]) -> list[str]:
    """The conditions that hold, each with its number; one on a number that is not there holds."""
    return [
        f"{gate.name} {gate.relation} {gate.limit:g}: "
        + (f"it is {said(numbers[gate.name].value)}" if gate.name in numbers else "not measured")
        for gate in gates
        if gate.fails(numbers)
    ]


def read_baseline(path: Path, setting: str) -> dict[str, Any]:
    """An earlier audit.json.

    Args:
        path: of the file.
        setting: that names it, for messages.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no audit of this version of the schema.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{setting}: there is no file {path}")
    try:
        found = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{setting}: {path} is no JSON: {error}") from error
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema != SCHEMA:
        raise ValueError(f"{setting}: {path} has the schema {schema!r}; expected {SCHEMA!r}")
    return found


def regressions(
    numbers: Mapping[str, Number], baseline: Mapping[str, Any], tolerance: float
) -> list[str]:
    """Numbers that are worse than in an earlier audit by more than a tolerance, or lacking."""
    worse = []
    for name, before in baseline["numbers"].items():
        better, old = MEASURES[name.partition(".")[0]].better, _number(before["value"])
        if not better:
            continue
        if name not in numbers:
            worse.append(f"{name} was {said(old)} and is not measured")
            continue
        new = numbers[name].value
        if {LOWER: new - old, HIGHER: old - new}[better] > tolerance:
            worse.append(f"{name} was {said(old)} and is {said(new)}")
    return worse


def said(value: float) -> str:
    """A number as the page writes it."""
    if value == inf:
        return "infinite"
    return f"{value:.0f}" if float(value).is_integer() and abs(value) >= 2 else f"{value:.3g}"


def _number(value: float | int | None) -> float:
    return inf if value is None else float(value)


def _measured(number: Number) -> str:
    interval = f", 95 % {number.low:.3g} to {number.high:.3g}" if isfinite(number.low) else ""
    return f"{number.n} photographs{interval}" if number.n else "the network alone"


def _on_padding(structure: Result, image_size: int) -> list[Sentence]:
    calls = [PaddedLayer(*call) for call in structure.facts["padded"]]
    uneven, sizes = [c for c in calls if not c.even], structure.facts["even_sizes"]
    if not calls:
        text = "No convolution or pooling pads."
        return [Sentence(text, "the network alone", "padding")]
    if not uneven:
        text = f"At {image_size} px all {len(calls)} padded calls use their padding evenly."
        return [Sentence(text, "the network alone", "padding")]
    first = uneven[0]
    left, right, top, bottom = first.used
    sides = f"{left} px at the left and {right} px at the right"
    if left == right:
        sides = f"{top} px at the top and {bottom} px at the bottom"
    advice = f"Use {sizes[0]} px." if sizes else "At no size within 40 px are all of them even."
    text = (
        f"At {image_size} px {len(uneven)} of {len(calls)} padded calls use it unevenly: "
        f"{first.layer or 'the network itself'} reads {sides}. {advice}"
    )
    return [Sentence(text, "the network alone", "padding")]


def _on_reach(structure: Result) -> list[Sentence]:
    name, covered = deepest_map(structure), structure.facts["covered_by"]
    texts, period = [], structure.facts["period"]
    if name is not None:
        reach = Reach(*structure.facts["reaches"][name])
        if reach.before is not None and reach.after is not None:
            begin = f" and begin at multiples of {period} px" if period > 1 else ""
            texts.append(
                f"{name} has a receptive field of {reach.field} px. Tiles are exact if they reach "
                f"{reach.before} px behind a cut and {reach.after} px before it{begin}."
            )
        if period > 1:
            texts.append(
                f"By its strides, {name} can move with the image only for shifts by multiples of "
                f"{period} px."
            )
    if covered:
        texts.append(
            f"From {covered[0] or 'the network itself'} ({covered[1]}) on everything depends on "
            "the whole image."
        )
    return [Sentence(text, "the network alone", "reach") for text in texts]


def _on_tiles(tiles: Result, numbers: Mapping[str, Number], tolerance: float) -> list[Sentence]:
    if "margin" not in numbers:
        return []
    margins, overlap = tiles.facts["margins"], numbers["overlap"]
    first, last = (numbers[f"tile_error.{margin}"] for margin in (margins[0], margins[-1]))
    rests = _measured(first)
    found = isfinite(overlap.value)
    name, tried = tiles.facts["map"], ", ".join(str(2 * margin) for margin in margins)
    texts = [
        f"An overlap of {overlap.value:.0f} px brings the error of {name} at tiles below "
        f"{tolerance:g} in the mean of the photographs (tried: {tried} px); with "
        f"{2 * margins[0]} px it is {first.value:.2g}."
        if found
        else f"No overlap up to {2 * margins[-1]} px brings the error of {name} at tiles below "
        f"{tolerance:g}: it falls from {first.value:.2g} to {last.value:.2g}."
    ]
    same = numbers[f"tile_error_same_statistics.{margins[-1]}"].value
    if not found and same < tolerance:
        texts.append(
            "Not padding but averages over the image are the reason: with those of the whole "
            f"image the error is {same:.2g}."
        )
    elif not found and same < REMAINS * last.value:
        texts.append(
            f"Averages over the image are {1 - same / last.value:.0%} of it: with those of the "
            f"whole image the error is {same:.2g}."
        )
    return [Sentence(text, rests, "tiles") for text in texts]


def _on_context(
    context: Result, numbers: Mapping[str, Number], structure: Result
) -> list[Sentence]:
    if "context_error" not in numbers:
        return []
    error, name = numbers["context_error"], deepest_map(structure)
    channels = numbers.get("border_channels")
    telling = f"; {channels.value:.0%} of its channels tell the border" if channels else ""
    text = (
        f"At its border {name} is wrong by {error.value:.2g} of its size, against the same pixels "
        f"with {context.facts['context']} px of the picture around them{telling}."
    )
    return [Sentence(text, _measured(error), "context")]


def _on_answers(numbers: Mapping[str, Number], tolerance: float) -> list[Sentence]:
    texts = []
    if "consistency" in numbers:
        here, turned = numbers["consistency"], numbers["consistency.circular"]
        wobble = numbers["wobble"]
        text = (
            f"Two shifts of one photograph get the same class with probability {here.value:.3f}; "
            f"confidence wobbles by {wobble.value:.2f}. Turned around instead, so that nothing new "
            f"comes into view, {turned.value:.3f}."
        )
        texts.append(Sentence(text, _measured(here), "shifts"))
    if "shift_error" in numbers:
        number = numbers["shift_error"]
        text = f"After a shift, shifted back, the output differs by {number.value:.2g}."
        texts.append(Sentence(text, _measured(number), "shifts"))
    classes = "consistency" in numbers
    for name, number in numbers.items():
        kind, _, padding = name.partition(".")
        if kind == "repadding":
            change = _change(number.value, classes)
            large = number.low > (0 if classes else tolerance)
            advice = ": fine-tune it before use" if large else ""
            text = f"With {padding} padding and without fine-tuning {change}{advice}."
            texts.append(Sentence(text, _measured(number), "frames"))
        if name == "batch_padding":
            text = f"With zeros that fill a batch {_change(number.value, classes)}."
            texts.append(Sentence(text, _measured(number), "frames"))
    return texts


def _change(value: float, classes: bool) -> str:
    return f"{value:.0%} of answers change" if classes else f"the output differs by {value:.2g}"


def _on_position(numbers: Mapping[str, Number]) -> list[Sentence]:
    read = {
        name.partition(".")[2]: number
        for name, number in numbers.items()
        if name.startswith("position.") and name.count(".") == 1
    }
    if not read:
        return []
    values = ", ".join(f"{pattern} {number.value:.2f}" for pattern, number in read.items())
    text = f"A linear readout of the deepest layer finds position with a correlation of {values}."
    return [Sentence(text, _measured(next(iter(read.values()))), "position")]
