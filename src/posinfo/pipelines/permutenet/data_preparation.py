"""Stage 1 of the permutenet experiment: labelled tiles, and a look at the canvases."""

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from posinfo.measures.figures import images_figure
from posinfo.pipelines.permutenet.parameters import PermutenetParameters
from posinfo.pipelines.permutenet.stored import canvases_of
from posinfo.pipelines.trained_networks import checked_images, load_images

SHOWN = 6  # canvases of each kind


def prepare_images(permutenet: PermutenetParameters) -> dict[str, Tensor]:
    """Pixels and labels of the three splits, and the colours to normalise them by."""
    return load_images(permutenet.dataset)


def draw_canvases(permutenet: PermutenetParameters, images: dict[str, Tensor]) -> Figure:
    """The first train tiles on each kind of canvas that a cell uses, cell after cell."""
    images = checked_images(images, permutenet.dataset)
    rows: dict[str, list[np.ndarray]] = {}
    for cell in permutenet.resolve().values():
        name = f"{cell.columns()['canvas']} {cell.grid}x{cell.grid}"
        if name not in rows:
            shown = canvases_of(images, "train", cell, torch.device("cpu"), torch.float32)
            tiles = torch.arange(min(SHOWN, len(shown.labels)))
            batch = shown.canvases.batch(tiles, tiles % shown.canvases.config.locations)
            colours = batch * images["std"][:, None, None] + images["mean"][:, None, None]
            rows[name] = list((colours * 255).round().clamp(0, 255).byte().numpy())
    return images_figure(rows)
