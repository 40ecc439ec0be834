"""Stage 2 of the permutenet experiment: a trained network per cell and seed."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from posinfo.networks.canvas_training import train_on_canvases
from posinfo.networks.pooled_classifiers import build_classifier
from posinfo.networks.source_key import source_key
from posinfo.pipelines.permutenet.parameters import CellConfig, PermutenetParameters
from posinfo.pipelines.permutenet.stored import canvases_of
from posinfo.pipelines.shared_parameters import Device, Precision
from posinfo.pipelines.trained_networks import (
    checked_images,
    file_name,
    images_key,
    train_network,
)


def train(
    permutenet: PermutenetParameters,
    device: Device,
    precision: Precision,
    images: dict[str, Tensor],
    checkpoints: Path,
) -> dict[str, Callable[[], dict[str, Tensor]]]:
    """The networks of each cell and seed, trained when the catalog asks for them."""
    images = checked_images(images, permutenet.dataset)
    on = device.pick()
    data = images_key(images)
    return {
        file_name(label, seed): partial(
            _train_one, label, cell, seed, images, data, on, precision.pick(on), checkpoints
        )
        for label, cell in permutenet.resolve().items()
        for seed in permutenet.seeds
    }


def _train_one(
    label: str,
    cell: CellConfig,
    seed: int,
    images: dict[str, Tensor],
    data: str,
    device: torch.device,
    precision: torch.dtype,
    checkpoints: Path,
) -> dict[str, Tensor]:
    shown = canvases_of(images, "train", cell, device, precision)
    held_out = canvases_of(images, "validation", cell, device, precision)
    side = cell.canvas_config.side
    network = build_classifier(cell.classifier, shown.answers, seed, side).to(device)
    fit = partial(
        train_on_canvases,
        network,
        shown,
        held_out,
        cell.training,
        seed=seed,
        device=device,
        precision=precision,
    )
    return train_network(
        file_name(label, seed),
        network,
        fit,
        cell.training.epochs * -(-len(shown.labels) // cell.training.batch_size),
        images=images,
        settings=cell.settings(data, seed),
        device=device,
        precision=precision,
        source=source_key(cell.arch),
        checkpoints=checkpoints,
    )
