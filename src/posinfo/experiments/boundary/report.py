"""The boundary study: tables beside the paper's, paired comparisons, curves, maps and profiles."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from posinfo.experiment import Report, Results
from posinfo.experiments.boundary.scores import (
    canvas_scores,
    distance_scores,
    efficiency_scores,
    patch_scores,
    reach_scores,
    red_green_scores,
    shift_scores,
)
from posinfo.experiments.boundary.settings import BoundarySettings
from posinfo.experiments.boundary.text import study_text
from posinfo.measures import border_figures as figures
from posinfo.measures.border_tables import knees, ring_gaps
from posinfo.measures.canvas_figures import accuracy_maps_figure
from posinfo.measures.canvas_scores import accuracy_by_location
from posinfo.measures.paired_comparisons import paired_comparisons

TABLES = (
    "patch_location", "red_green", "distance", "reach", "knees", "shifts", "canvases", "rings",
    "ring_gaps", "data_efficiency", "comparisons",
)  # fmt: skip
FIGURES = ("border_curves", "red_green", "location_maps", "ring_profiles", "data_efficiency")
COMPARED = ["part", "place"]


def report(settings: BoundarySettings, results: Results, published: pd.DataFrame) -> Report:
    """A table per part, one text of all, comparisons over seeds, and five figures."""
    tables = _tables(settings, results)
    drawn = {
        "border_curves": figures.border_curves_figure(tables["distance"], tables["knees"]),
        "red_green": figures.red_green_figure(tables["red_green"]),
        "location_maps": _location_maps(settings, results),
        "ring_profiles": figures.ring_profiles_figure(tables["rings"]),
        "data_efficiency": figures.data_efficiency_figure(tables["data_efficiency"]),
    }
    return Report(tables=tables, texts={"table": study_text(tables, published)}, figures=drawn)


def _tables(settings: BoundarySettings, results: Results) -> dict[str, pd.DataFrame]:
    distance = distance_scores(settings, results)
    reach = reach_scores(settings, results)
    canvases, rings = canvas_scores(settings, results)
    tables = {
        "patch_location": patch_scores(results),
        "red_green": red_green_scores(results),
        "distance": distance,
        "reach": reach,
        "knees": knees(distance, reach),
        "shifts": shift_scores(settings, results),
        "canvases": canvases,
        "rings": rings,
        "ring_gaps": ring_gaps(rings),
        "data_efficiency": efficiency_scores(settings, results),
    }
    compared = [each for each in _comparisons(tables) if len(each)]
    none = pd.DataFrame(columns=COMPARED)
    return tables | {"comparisons": pd.concat(compared or [none], ignore_index=True)}


def _comparisons(tables: dict[str, pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Paired over seeds: paddings, methods, rows of canvases; networks by their finite knees."""
    knees = tables["knees"][np.isfinite(tables["knees"].knee.astype(float))]
    yield _compared(knees.assign(place="", cell=knees.row), "distance", ["knee"])
    of_padding = tables["red_green"].rename(columns={"padding": "cell"})
    yield _compared(of_padding.assign(place=""), "red_green", ["similar", "dissimilar"])
    shifts = tables["shifts"]
    places = shifts.shift_padding.astype(str) + "-" + shifts.max_shift.astype(str)
    measures = ["top1", "consistency_exact", "consistency_right", "diagonal_accuracy"]
    yield _compared(shifts.assign(place=places), "shifts", measures)
    efficiency = tables["data_efficiency"]
    yield _compared(efficiency.assign(place=efficiency.n_train), "data_efficiency", ["top1"])
    for name, measure in (("canvases", "accuracy"), ("ring_gaps", "gap")):
        table = tables[name]
        places = table.task.astype(str) + " " + table.grid.astype(str)
        yield _compared(table.assign(place=places, cell=table.row), "canvases", [measure])


def _compared(scores: pd.DataFrame, part: str, measures: list[str]) -> pd.DataFrame:
    return paired_comparisons(scores.assign(part=part), COMPARED, measures)


def _location_maps(settings: BoundarySettings, results: Results) -> Figure:
    """Accuracy at each location, the mean over seeds, a panel per row of part 5."""
    maps = {}
    for label in settings.of("canvases"):
        seeds = [f"{label}-seed{seed}" for seed in settings.boundary.canvases.seeds]
        counts = torch.stack([results["canvases"][seed].tensors["counts"] for seed in seeds])
        maps[label] = accuracy_by_location(counts.sum(0))
    return accuracy_maps_figure(maps) if maps else Figure()
