"""Stage 2 of the augshift experiment: a trained network per row and seed."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from posinfo.networks.augshift import build_latent_classifier
from posinfo.networks.augshift_training import train_augshift
from posinfo.networks.source_key import source_key
from posinfo.pipelines.augshift.parameters import AugShiftParameters, Cell
from posinfo.pipelines.augshift.stored import UNSHIFTED, crops_of, images_of
from posinfo.pipelines.shared_parameters import Device, Precision
from posinfo.pipelines.trained_networks import Stored, file_name, images_key, train_network


def train(
    augshift: AugShiftParameters,
    device: Device,
    precision: Precision,
    images: Stored,
    checkpoints: Path,
) -> dict[str, Callable[[], dict[str, Tensor]]]:
    """The networks of each row and seed, trained when the catalog asks for them."""
    on = device.pick()
    return {
        file_name(label, seed): partial(
            _train_one, label, cell, seed, augshift, images, on, precision.pick(on), checkpoints
        )
        for label, cell in augshift.cells().items()
        for seed in cell.seeds
    }


def _train_one(
    label: str,
    cell: Cell,
    seed: int,
    augshift: AugShiftParameters,
    stored: Stored,
    device: torch.device,
    precision: torch.dtype,
    checkpoints: Path,
) -> dict[str, Tensor]:
    images = images_of(stored, cell)
    shown = crops_of(images, "train", augshift.augmentation, device, precision)
    held_out = crops_of(images, "validation", UNSHIFTED, device, precision)
    network = build_latent_classifier(cell.config, cell.dataset.class_count, seed).to(device)
    fit = partial(
        train_augshift,
        network,
        shown,
        held_out,
        cell.config,
        augshift.training,
        seed=seed,
        device=device,
        precision=precision,
    )
    return train_network(
        file_name(label, seed),
        network,
        fit,
        augshift.training.epochs * (len(shown[1]) // augshift.training.batch_size),
        images=images,
        settings=augshift.settings(cell, images_key(images), seed),
        device=device,
        precision=precision,
        source=source_key("cifar_resnet18"),
        checkpoints=checkpoints,
    )
