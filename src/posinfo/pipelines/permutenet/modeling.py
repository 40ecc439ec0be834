"""Stage 2 of the permutenet experiment: a trained network per cell and seed."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from posinfo.networks.canvas_training import train_on_canvases
from posinfo.networks.pooled_classifiers import build_classifier
from posinfo.networks.settings_digest import settings_key
from posinfo.networks.source_key import source_key
from posinfo.pipelines.permutenet.parameters import CellConfig, PermutenetParameters
from posinfo.pipelines.permutenet.stored import canvases_of, images_key, partition, to_tensors
from posinfo.pipelines.progress import progress_bar
from posinfo.pipelines.shared_parameters import Device, Precision

log = logging.getLogger(__name__)


def train(
    permutenet: PermutenetParameters,
    device: Device,
    precision: Precision,
    images: dict[str, Tensor],
    checkpoints: Path,
) -> dict[str, Callable[[], dict[str, Tensor]]]:
    """The networks of each cell and seed, trained when the catalog asks for them."""
    on = device.pick()
    data = images_key(images)
    return {
        partition(label, seed): partial(
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
    settings = cell.settings(data, seed)
    how = {"device": device.type, "precision": str(precision), "source": source_key(cell.arch)}
    name = partition(label, seed)
    steps = cell.training.epochs * -(-len(shown.labels) // cell.training.batch_size)
    try:
        with progress_bar(f"training {name}", steps) as on_progress:
            fitted = train_on_canvases(
                network,
                shown,
                held_out,
                cell.training,
                seed=seed,
                device=device,
                precision=precision,
                checkpoint=checkpoints / f"{name}-{settings_key(settings | how)}.pt",
                on_progress=on_progress,
            )
    except FloatingPointError as error:
        raise FloatingPointError(f"{name}: {error}") from error
    log.info(
        "%s: validation accuracy %.3f in epoch %d of %d",
        *(name, fitted.scores.max(), fitted.epoch, len(fitted.scores)),
    )
    return to_tensors(network, fitted, settings)
