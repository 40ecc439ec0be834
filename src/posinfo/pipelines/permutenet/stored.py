"""What an earlier stage has stored, as the next one needs it."""

import hashlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn

from posinfo.measures.canvas_scores import table_to_counts
from posinfo.networks.canvas_training import LabelledCanvases
from posinfo.networks.pooled_classifiers import build_classifier
from posinfo.networks.settings_digest import with_digest, without_digest
from posinfo.networks.training import Fitted
from posinfo.pipelines.permutenet.parameters import CellConfig, PermutenetParameters
from posinfo.stimuli.canvases import Canvases
from posinfo.stimuli.labelled_images import SPLITS

LOSSES, SCORES = "history.train_loss", "history.validation_accuracy"

Images = Mapping[str, Tensor]
StoredNetworks = Mapping[str, Callable[[], dict[str, Tensor]]]


class TrainedNetwork(NamedTuple):
    """A network and how its training went, epoch by epoch."""

    network: nn.Module
    losses: Tensor
    scores: Tensor


def images_key(images: Images) -> str:
    """Changes whenever a pixel, a label or a colour does."""
    digest = hashlib.sha256()
    for name in sorted(images):
        digest.update(name.encode())
        digest.update(images[name].contiguous().numpy().data)
    return digest.hexdigest()[:16]


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


def partition(label: str, seed: int) -> str:
    """Under which name a trained network is stored."""
    return f"{label}-seed{seed}"


def to_tensors(
    network: nn.Module, fitted: Fitted, settings: dict[str, object]
) -> dict[str, Tensor]:
    """A trained network for a safetensors file."""
    history = {LOSSES: fitted.losses, SCORES: fitted.scores}
    return with_digest({**network.state_dict(), **history}, settings)


def history(
    networks: StoredNetworks, label: str, cell: CellConfig, seed: int, data: str
) -> tuple[Tensor, Tensor]:
    """Train loss and validation accuracy of each epoch of a stored network.

    Raises:
        ValueError: see ``trained_network``.
    """
    weights = _stored(networks, label, cell, seed, data)
    return weights[LOSSES], weights[SCORES]


def trained_network(
    networks: StoredNetworks, label: str, cell: CellConfig, seed: int, answers: int, data: str
) -> TrainedNetwork:
    """A stored network on the CPU.

    Raises:
        ValueError: it is missing, or was trained with other settings or images.
    """
    weights = _stored(networks, label, cell, seed, data)
    losses, scores = weights.pop(LOSSES), weights.pop(SCORES)
    network = build_classifier(cell.classifier, answers, seed, cell.canvas_config.side)
    network.load_state_dict(weights)
    return TrainedNetwork(network.eval(), losses, scores)


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


def _stored(
    networks: StoredNetworks, label: str, cell: CellConfig, seed: int, data: str
) -> dict[str, Tensor]:
    name = partition(label, seed)
    if name not in networks:
        raise ValueError(
            f"there is no trained network {name!r}: "
            "run the stage `modeling`, or the whole pipeline, again"
        )
    return without_digest(networks[name](), cell.settings(data, seed), f"the weights of {name}")
