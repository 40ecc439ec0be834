"""What an earlier stage has stored, as the next one needs it."""

from collections.abc import Callable, Mapping

import pandas as pd
import torch
from torch import Tensor

from posinfo.measures.canvas_scores import table_to_counts
from posinfo.networks.canvas_training import LabelledCanvases
from posinfo.pipelines.permutenet.parameters import CellConfig, PermutenetParameters
from posinfo.pipelines.trained_networks import Images
from posinfo.stimuli.canvases import Canvases
from posinfo.stimuli.labelled_images import SPLITS


def canvases_of(
    images: Images, split: str, cell: CellConfig, device: torch.device, precision: torch.dtype
) -> LabelledCanvases:
    """The tiles of a split on the canvas of a cell.

    Raises:
        ValueError: the tiles do not fit the canvas.
    """
    canvases = Canvases(
        images[f"{split}.pixels"],
        cell.canvas_config,
        images["mean"],
        images["std"],
        device=device,
        precision=precision,
    )
    classes = 1 + max(int(images[f"{name}.labels"].max()) for name in SPLITS)
    return LabelledCanvases(canvases, images[f"{split}.labels"], classes, cell.task)


def counted_answers(
    answers: Mapping[str, Callable[[], pd.DataFrame]], label: str, permutenet: PermutenetParameters
) -> dict[int, Tensor]:
    """What the networks of a cell answered, by seed; see ``count_answers``.

    Raises:
        ValueError: the answers are missing, or of other settings.
    """
    cell = permutenet.resolve()[label]
    stored = answers[label]() if label in answers else pd.DataFrame({"settings": []})
    counts = {}
    for seed in permutenet.seeds:
        rows = stored.loc[stored.settings == permutenet.answers_key(cell, seed), :]
        if rows.empty:
            raise ValueError(
                f"there are no answers of {label!r}, seed {seed}, with these settings: "
                "run the stage `evaluation`, or the whole pipeline, again"
            )
        counts[seed] = table_to_counts(
            rows, cell.canvas_config.locations, int(rows.classes.iloc[0])
        )
    return counts
