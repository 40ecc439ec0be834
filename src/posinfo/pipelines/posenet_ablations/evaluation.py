"""Stage 3 of the ablations: scores, the paper's tables beside ours, and its figures."""

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from posinfo.array_cache import ArrayCache
from posinfo.measures.ablation_figures import (
    Panel,
    error_maps_figure,
    layers_and_kernels_figure,
    padding_figure,
)
from posinfo.measures.ablation_tables import ablation_tables, tables_markdown
from posinfo.measures.scores import summarise_images
from posinfo.pipelines import tracking
from posinfo.pipelines.posenet.cells import Cell
from posinfo.pipelines.posenet.evaluation import (
    Maps,
    Scored,
    evaluate_cells,
    first_maps,
    maps_of_photos,
)
from posinfo.pipelines.posenet.parameters import PosenetParameters
from posinfo.pipelines.posenet.stored import Features, StoredReadouts
from posinfo.pipelines.posenet_ablations.parameters import AblationParameters
from posinfo.pipelines.shared_parameters import Device, Precision
from posinfo.stimuli.photos import PhotosConfig, decode_images

FIGURE_6 = "gaussian"  # the pattern that each shows
FIGURE_7 = ("horizontal", "vertical", "gaussian")


def evaluate(
    posenet: PosenetParameters,
    ablations: AblationParameters,
    photos: PhotosConfig,
    device: Device,
    precision: Precision,
    readouts: StoredReadouts,
    features: Features,
    masks: Maps,
    test_photos: pd.DataFrame,
    array_cache: ArrayCache,
) -> Scored:
    """SPC and MAE of every readout on every test image, one cell after the other."""
    stored = (readouts, features, masks, test_photos, array_cache)
    return evaluate_cells(ablations.resolve(posenet), photos, device, precision, *stored)


def summarise(
    posenet: PosenetParameters,
    ablations: AblationParameters,
    image_scores: Scored,
    masks: Maps,
    published_numbers: pd.DataFrame,
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The result table, and the paper's tables with its numbers beside ours."""
    cells = ablations.resolve(posenet)
    images = pd.concat([image_scores[cell.label]() for cell in cells], ignore_index=True)
    settings = pd.DataFrame([{"cell": cell.label, **_settings(cell)} for cell in cells])
    names = {cell.label: cell.name for cell in cells}
    scores = summarise_images(images, masks).merge(settings.explode("table"), on="cell")
    scores["cell"] = scores.cell.map(names)
    first = ["table", "backbone", "weights", "padding", "pattern", "stimulus", "seed"]
    measured = ["spc", "mae", "mae_floor", "skill", "n_images", "n_constant"]
    others = [name for name in settings if name not in ("cell", *first)]
    scores = scores.reindex(columns=[*first, *measured, *others, "cell"])
    architectures = {cell.backbone: cell.row.arch for cell in cells}
    table = ablation_tables(
        scores, published_numbers, architectures, signed=posenet.stripes == "signed"
    )
    text = tables_markdown(table)
    tracking.log_table(table, text, "tables")
    return scores, table, text


def draw_figures(
    posenet: PosenetParameters,
    ablations: AblationParameters,
    readouts: StoredReadouts,
    features: Features,
    masks: Maps,
    test_photos: pd.DataFrame,
    array_cache: ArrayCache,
) -> tuple[Figure, Figure, Figure]:
    """Figures 5, 6 and 7 from the cells that stand in their tables."""
    stored = (readouts, features, test_photos, array_cache)
    cells = ablations.resolve(posenet)
    truth = {pattern: masks[pattern] for pattern in ablations.patterns}
    image = decode_images(test_photos, posenet.image_size, array_cache).pixels[0]
    figures = (
        layers_and_kernels_figure(truth, _maps_by_layers_and_kernel(cells, stored)),
        padding_figure(np.asarray(image), masks.get(FIGURE_6), _panels_by_padding(cells, stored)),
        error_maps_figure(_errors_by_backbone(cells, masks, stored)),
    )
    for number, figure in enumerate(figures, start=5):
        tracking.log_figure(figure, f"figure{number}.png")
    return figures


def _maps_by_layers_and_kernel(cells: list[Cell], stored: tuple) -> dict[str, Maps]:
    return {
        f"{cell.backbone}\n{cell.label.removeprefix(cell.backbone).strip('-')}": first_maps(
            cell, *stored
        )
        for cell in cells
        if {"2a", "2b"} & set(cell.tables)
    }


def _panels_by_padding(cells: list[Cell], stored: tuple) -> list[Panel]:
    return [
        Panel(_padding_title(cell), first_maps(cell, *stored)[FIGURE_6])
        for cell in cells
        if "4" in cell.tables and FIGURE_6 in cell.patterns
    ]


def _errors_by_backbone(cells: list[Cell], masks: Maps, stored: tuple) -> dict[str, Tensor]:
    return {
        cell.label: _mean_error(cell, masks, stored)
        for cell in cells
        if "1" in cell.tables and set(FIGURE_7) <= set(cell.patterns)
    }


def _mean_error(cell: Cell, masks: Maps, stored: tuple) -> Tensor:
    total, images = torch.zeros(cell.image_size, cell.image_size), 0
    for maps in maps_of_photos(cell, *stored):
        errors = [(maps[pattern] - masks[pattern]).abs() for pattern in FIGURE_7]
        total += torch.stack(errors).mean(0)
        images += 1
    return total / images


def _padding_title(cell: Cell) -> str:
    if cell.row.arch == "image":
        return f"{cell.backbone}\npadding {cell.readout.padding}"
    return f"{cell.backbone}\n{cell.row.padding}"


def _settings(cell: Cell) -> dict[str, object]:
    readout = cell.readout
    return {
        "table": list(cell.tables),
        "backbone": cell.backbone,
        "weights": cell.row.weights,
        "padding": cell.row.padding,
        "blocks": "+".join(cell.blocks) or "all",
        "kernel_size": readout.kernel_size,
        "layers": readout.layers,
        "hidden_width": readout.hidden_width if readout.layers > 1 else "",
        "readout_padding": readout.padding,
        "head": readout.head,
        "normalisation": cell.normalisation,
        "backbone_seed": cell.row.seed,
    }
