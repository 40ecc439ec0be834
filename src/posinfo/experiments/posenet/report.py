"""Table 1 with the published numbers, and what the readouts draw."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from torch import Tensor

from posinfo.experiment import Report, Result, Results
from posinfo.experiments.posenet.evaluate import image_scores
from posinfo.experiments.posenet.settings import PosenetSettings
from posinfo.measures.figures import images_figure, masks_figure, predicted_maps_figure
from posinfo.measures.table1 import table1, table1_markdown

PREVIEWED = 8  # photographs in a line of the contact sheet


def report(settings: PosenetSettings, results: Results, published: pd.DataFrame) -> Report:
    """Scores, Table 1, masks, a contact sheet of the photographs, and predicted maps."""
    cells, patterns = results["evaluate"], settings.posenet.patterns
    backbones = {label: settings.backbones[label] for label in cells}
    images = [image_scores(cell).assign(backbone=label) for label, cell in cells.items()]
    scores = all_rows(cells).rename(columns={"cell": "backbone"})
    for column, setting in enumerate(("weights", "padding"), start=1):
        values = {label: getattr(backbone, setting) for label, backbone in backbones.items()}
        scores.insert(column, setting, scores.backbone.map(values))
    architectures = {label: backbone.arch for label, backbone in backbones.items()}
    table = table1(scores, pd.concat(images, ignore_index=True), published, architectures)
    truth = maps_of(next(iter(cells.values())), "truth", patterns)
    maps = {label: maps_of(cell, "map", patterns) for label, cell in cells.items()}
    sheet = {
        name: list(results["images"][name].arrays["pixels"][:PREVIEWED])
        for name in ("train", "test")
    }
    return Report(
        tables={"scores": scores, "table1": table},
        texts={"table1": table1_markdown(table)},
        figures={
            "masks": masks_figure(truth),
            "photos": images_figure(sheet),
            "predicted_maps": predicted_maps_figure(first_image(cells), truth, maps),
        },
    )


def all_rows(cells: Mapping[str, Result]) -> pd.DataFrame:
    """The rows of all cells, one below the other, after a column ``cell``."""
    frames = [result.table.assign(cell=label) for label, result in cells.items()]
    rows = pd.concat(frames, ignore_index=True)
    return rows.reindex(columns=["cell", *rows.columns.drop("cell")])


def maps_of(cell: Result, kind: str, patterns: tuple[str, ...]) -> dict[str, Tensor]:
    """Maps of an evaluated cell by pattern: its ``truth``, or a ``map`` or ``error`` of readouts.

    Patterns that the cell does not read are left out.
    """
    found = {pattern: cell.tensors.get(f"{kind}.{pattern}") for pattern in patterns}
    return {pattern: values for pattern, values in found.items() if values is not None}


def first_image(cells: Mapping[str, Result]) -> np.ndarray:
    """The first test photograph, (3, h, w) uint8."""
    return next(iter(cells.values())).tensors["image"].numpy()
