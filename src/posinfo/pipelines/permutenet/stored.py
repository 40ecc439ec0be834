"""What an earlier stage has stored, as the next one needs it."""

import hashlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from posinfo.networks.canvas_training import LabelledCanvases
from posinfo.networks.pooled_classifiers import build_classifier, restart_permutations
from posinfo.networks.settings_digest import with_digest, without_digest
from posinfo.networks.training import Fitted
from posinfo.pipelines.permutenet.parameters import CellConfig
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


def trained_network(
    networks: StoredNetworks, label: str, cell: CellConfig, seed: int, answers: int, data: str
) -> TrainedNetwork:
    """A stored network on the CPU; its permutations start anew.

    Raises:
        ValueError: it is missing, or was trained with other settings or images.
    """
    name = partition(label, seed)
    if name not in networks:
        raise ValueError(
            f"there is no trained network {name!r}: "
            "run the stage `modeling`, or the whole pipeline, again"
        )
    weights = without_digest(networks[name](), cell.settings(data, seed), f"the weights of {name}")
    losses, scores = weights.pop(LOSSES), weights.pop(SCORES)
    network = build_classifier(cell.classifier, answers, seed, cell.canvas_config.side)
    network.load_state_dict(weights)
    restart_permutations(network)
    return TrainedNetwork(network.eval(), losses, scores)
