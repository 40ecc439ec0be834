"""The numbers of an audit: what each measures, its mean over photographs, and its interval."""

from collections.abc import Mapping
from math import inf, nan
from typing import NamedTuple

import numpy as np
import pandas as pd

from posinfo.experiment import Result
from posinfo.experiments.audit.cells import deepest_map, strides_of
from posinfo.measures.intervals import mean_interval
from posinfo.measures.tiles import margin_for
from posinfo.measures.true_context import reach_of_error
from posinfo.networks.surgery.padded_layers import PaddedLayer
from posinfo.networks.surgery.reach import Reach

LOWER, HIGHER, NEITHER = "lower", "higher", ""


class Number(NamedTuple):
    """A number of an audit.

    Attributes:
        value: the number; infinite: no margin is large enough.
        low: lower end of its 95 % interval over photographs; NaN: it has none.
        high: upper end.
        n: photographs that it is the mean of; 0: it follows from the network alone.
    """

    value: float
    low: float = nan
    high: float = nan
    n: int = 0


class Measure(NamedTuple):
    """What a number says.

    Attributes:
        text: in words.
        unit: of its values; empty: a share, a correlation or a count.
        better: whether lower or higher ones are; empty: neither.
    """

    text: str
    unit: str = ""
    better: str = NEITHER


# A number of a layer, padding or margin has its name after a dot: repadding.reflect.
MEASURES: dict[str, Measure] = {
    "padded_layers": Measure("calls that pad"),
    "uneven_layers": Measure("calls that use their padding on one side more", better=LOWER),
    "stride": Measure("pixels of the image per pixel of the deepest map", "px"),
    "receptive_field": Measure("receptive field of the deepest map", "px"),
    "reach": Measure("margin beyond which a tile is exactly right", "px", LOWER),
    "margin": Measure("smallest margin of a tile with an error below the tolerance", "px", LOWER),
    "overlap": Measure("the same as pixels that two tiles share", "px", LOWER),
    "tile_error": Measure("error of two tiles in the worst column, by margin", better=LOWER),
    "tile_error_same_statistics": Measure(
        "the same with averages over the whole image", better=LOWER
    ),
    "tile_classes": Measure("share of pixels of two tiles with another largest channel"),
    "context_error": Measure("error of a map on its outermost ring of pixels", better=LOWER),
    "context_reach": Measure("distance to the border behind which it is right", "px", LOWER),
    "border_channels": Measure("share of channels that tell a border", better=LOWER),
    "consistency": Measure("chance that two shifts get one class", better=HIGHER),
    "unanimous": Measure("share of images with one class at all shifts", better=HIGHER),
    "wobble": Measure("largest minus smallest confidence over shifts", better=LOWER),
    "shift_error": Measure("change of the output after a shift, shifted back", better=LOWER),
    "batch_padding": Measure("change of the answer by zeros that fill a batch", better=LOWER),
    "repadding": Measure("change of the answer by another padding, without fine-tuning"),
    "position": Measure("correlation of a linear readout with a pattern", better=LOWER),
}


def numbers(results: Mapping[str, Result], tolerance: float) -> dict[str, Number]:
    """All numbers of a network by name.

    Args:
        results: by step, of this network.
        tolerance: error below which a map counts as the same.
    """
    structure = results["structure"]
    found = of_structure(structure)
    frames = [results[step].rows for step in ("context", "tiles", "answers", "position")]
    rows = pd.concat([each for each in frames if each is not None], ignore_index=True)
    summary = summarise(rows)
    deepest = deepest_map(structure)
    for (measure, where), number in summary.items():
        if measure in ("error", "same_statistics"):
            name = "tile_error" + ("_same_statistics" if measure == "same_statistics" else "")
            found[f"{name}.{where}"] = number
        elif measure == "classes":
            found[f"tile_classes.{where}"] = number
        elif measure == "seam":
            continue
        elif where in ("", "crops"):
            found[measure] = number
        else:
            found[f"{measure}.{where}"] = number
            if where == deepest or (measure.startswith("position.") and _is_last(where, structure)):
                found[measure] = number
    found |= _context_reach(results["context"], deepest, tolerance)
    margins = results["tiles"].facts["margins"]
    errors = [summary.get(("error", str(margin))) for margin in margins]
    if margins and not results["tiles"].facts["refused"]:
        means = np.array([each.value for each in errors if each is not None])
        margin = margin_for(margins, means, tolerance)
        value = inf if margin is None else float(margin)
        of = errors[0].n if errors[0] else 0
        found |= {"margin": Number(value, n=of), "overlap": Number(2 * value, n=of)}
    order = list(MEASURES)
    return dict(sorted(found.items(), key=lambda item: order.index(item[0].partition(".")[0])))


def _context_reach(context: Result, deepest: str | None, tolerance: float) -> dict[str, Number]:
    if deepest is None or context.facts["refused"]:
        return {}
    rings = context.tensors[f"rings.{deepest}"].numpy()
    ring = reach_of_error(rings.mean(0), tolerance)
    pixels = inf if ring is None else float(ring * context.facts["strides"][deepest])
    return {"context_reach": Number(pixels, n=len(rings))}


def of_structure(structure: Result) -> dict[str, Number]:
    """The numbers that follow from the network alone."""
    calls = [PaddedLayer(*call) for call in structure.facts["padded"]]
    found = {
        "padded_layers": Number(float(len(calls))),
        "uneven_layers": Number(float(sum(not call.even for call in calls))),
    }
    name = deepest_map(structure)
    if name is None:
        return found
    reach = Reach(*structure.facts["reaches"][name])
    margin, field = reach.margin, reach.field
    return found | {
        "stride": Number(float(reach.stride or nan)),
        "reach": Number(inf if margin is None else float(margin)),
        "receptive_field": Number(inf if field is None else float(field)),
    }


def summarise(rows: pd.DataFrame) -> dict[tuple[str, str], Number]:
    """Mean and interval of each measure and place, over photographs.

    Args:
        rows: ``measure, where, photograph, value``; the crops of one photograph are one value.
    """
    found = {}
    for place, of_place in rows.groupby(["measure", "where"], sort=False):
        measure, where = place  # type: ignore[misc]
        values = of_place.groupby("photograph", sort=False).value.mean().to_numpy()
        if np.isnan(values).any():  # it takes more photographs
            continue
        alone = list(of_place.photograph) == [""]  # a number of all photographs together
        low, high = (nan, nan) if alone else mean_interval(values)
        found[str(measure), str(where)] = Number(
            float(values.mean()), low, high, 0 if alone else len(values)
        )
    return found


def _is_last(layer: str, structure: Result) -> bool:
    """Whether a layer is the last one that has a map; the output is not read."""
    layers = [name for name in strides_of(structure) if name != "output"]
    return bool(layers) and layer == layers[-1]
