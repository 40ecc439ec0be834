"""The rows of each part of the study, from the results of its steps."""

from collections.abc import Mapping

import pandas as pd

from posinfo.experiment import Result, Results
from posinfo.experiments.boundary.cells import border_label
from posinfo.experiments.boundary.settings import BoundarySettings
from posinfo.experiments.trained_network import network_label
from posinfo.measures.ring_profiles import ring_scores
from posinfo.networks.models.stacked_convnets import FULL

PATCH = ["padding", "seed", "accuracy", "identical", "floor", "n"]
RED_GREEN = ["padding", "seed", "similar", "dissimilar", "identical", "floor", "n"]
DISTANCE = [
    "row", "arch", "part", "weights", "padding", "trained", "pooling", "canvas", "border_kind",
    "border", "seed", "accuracy", "train_accuracy", "validation_accuracy", "floor", "n",
]  # fmt: skip
REACH = ["row", "photograph", "error_distance", "field", "seed"]
SHIFTS = [
    "dataset", "method", "n_train", "epochs", "width", "seed", "max_shift", "shift_padding", "top1",
    "consistency_exact", "consistency_right", "consistency_sampled", "diagonal_accuracy",
    "worst_case_accuracy", "split", "floor", "n", "n_right", "cell",
]  # fmt: skip
CANVASES = [
    "dataset", "arch", "width", "padding", "canvas", "grid", "task", "seed", "accuracy", "floor",
    "split", "n", "row", "cell",
]  # fmt: skip


def patch_scores(results: Results) -> pd.DataFrame:
    """A row per padding and seed."""
    return _of_paddings(results["patch_location"], "patch_location-", PATCH)


def red_green_scores(results: Results) -> pd.DataFrame:
    """A row per padding and seed."""
    return _of_paddings(results["red_green"], "red_green-", RED_GREEN)


def distance_scores(settings: BoundarySettings, results: Results) -> pd.DataFrame:
    """A row per network, border and seed."""
    section, frames = settings.boundary.distance, []
    for name, row in settings.of("distance").items():
        about = row.model_dump(include={"arch", "part", "weights", "padding", "trained", "pooling"})
        for border in section.borders_of(row):
            for seed in row.seeds or section.seeds:
                result = results["distance"][border_label(name, border, seed)]
                frames.append(result.table.assign(row=name, border=border, **about))
    scores = _joined(frames, DISTANCE)
    return scores.assign(canvas=section.canvas, border_kind=section.border)


def reach_scores(settings: BoundarySettings, results: Results) -> pd.DataFrame:
    """A row per network, seed and photograph."""
    section = settings.boundary.distance
    frames = [
        results["reach"][network_label(name, seed)].table.assign(row=name)
        for name, row in settings.of("distance").items()
        for seed in row.seeds or section.seeds
    ]
    return _joined(frames, REACH)


def shift_scores(settings: BoundarySettings, results: Results) -> pd.DataFrame:
    """Of part 4: a row per method, seed and range of offsets."""
    section = settings.boundary.shifts
    frames = [
        _shifted(settings, results, method, "all", seed).assign(epochs=section.training.epochs)
        for method in settings.of("shifts").values()
        for seed in section.seeds
    ]
    return _joined(frames, SHIFTS)


def efficiency_scores(settings: BoundarySettings, results: Results) -> pd.DataFrame:
    """Of part 6: a row per method, number of images, seed and range of offsets."""
    section, frames = settings.boundary.shifts, []
    for method, size in settings.of("data_efficiency").values():
        for seed in section.efficiency_seeds:
            scores = _shifted(settings, results, method, size.name, seed)
            frames.append(scores.iloc[:1].assign(epochs=size.epochs))  # top-1 is of no shift
    return _joined(frames, SHIFTS)


def canvas_scores(
    settings: BoundarySettings, results: Results
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A row per cell and seed; and a row per ring of it as well."""
    section, scores, rings = settings.boundary.canvases, [], []
    for label, cell in settings.of("canvases").items():
        about = {name: value for name, value in cell.columns().items() if name in CANVASES}
        about["row"] = label.replace(f"-{cell.task}-{cell.grid}x{cell.grid}", "")
        if cell.arch.endswith("_fconv"):
            about["padding"] = FULL  # as other parts call it
        about |= {"dataset": section.dataset.name, "split": settings.boundary.split, "cell": label}
        for seed in section.seeds:
            result = results["canvases"][network_label(label, seed)]
            scores.append(result.table.assign(**about))
            by_ring = ring_scores(result.tensors["counts"])
            rest = result.table.drop(columns="accuracy").iloc[0].to_dict()
            rings.append(by_ring.assign(**about, **rest))
    return _joined(scores, CANVASES), _joined(rings, [*CANVASES, "ring"])


def _shifted(
    settings: BoundarySettings, results: Results, method: str, images: str, seed: int
) -> pd.DataFrame:
    section = settings.boundary.shifts
    ranges = {shift.name: shift for shift in section.shifts}
    table = results["shifts"][network_label(f"{method}-{images}", seed)].table
    return table.assign(
        method=method,
        cell=method,
        n_train=len(results["shift_images"][images].tensors["train.labels"]),
        dataset=section.dataset.name,
        width=section.width,
        split=settings.boundary.split,
        max_shift=[ranges[name].max_shift for name in table.range],
        shift_padding=[ranges[name].padding for name in table.range],
    )


def _of_paddings(results: Mapping[str, Result], prefix: str, columns: list[str]) -> pd.DataFrame:
    frames = [
        result.table.assign(padding=label.removeprefix(prefix)) for label, result in results.items()
    ]
    return _joined(frames, columns)


def _joined(frames: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """All rows; none, where a part was not asked for."""
    found = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return found.reindex(columns=columns)
