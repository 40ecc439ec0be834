"""Stage 2 of the augshift experiment: a trained network per method and seed."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from posinfo.networks.augshift import AugShiftConfig, build_latent_classifier, train_augshift
from posinfo.networks.settings_digest import settings_key
from posinfo.networks.source_key import source_key
from posinfo.pipelines.augshift.parameters import AugShiftParameters, ShiftConfig
from posinfo.pipelines.augshift.stored import crops_of
from posinfo.pipelines.permutenet.stored import images_key, partition, to_tensors
from posinfo.pipelines.progress import progress_bar
from posinfo.pipelines.shared_parameters import Device, Precision

log = logging.getLogger(__name__)


def train(
    augshift: AugShiftParameters,
    device: Device,
    precision: Precision,
    images: dict[str, Tensor],
    checkpoints: Path,
) -> dict[str, Callable[[], dict[str, Tensor]]]:
    """The networks of each method and seed, trained when the catalog asks for them."""
    on = device.pick()
    data = images_key(images)
    return {
        partition(label, seed): partial(
            _train_one,
            partition(label, seed),
            augshift,
            config,
            augshift.settings(config, data, seed),
            images,
            on,
            precision.pick(on),
            checkpoints,
        )
        for label, (config, seeds) in augshift.rows().items()
        for seed in seeds
    }


def _train_one(
    name: str,
    augshift: AugShiftParameters,
    config: AugShiftConfig,
    settings: dict[str, object],
    images: dict[str, Tensor],
    device: torch.device,
    precision: torch.dtype,
    checkpoints: Path,
) -> dict[str, Tensor]:
    seed = int(str(settings["seed"]))
    shown = crops_of(images, "train", augshift.augmentation, device, precision)
    unshifted = ShiftConfig(max_shift=0, padding="zero")
    held_out = crops_of(images, "validation", unshifted, device, precision)
    classes = augshift.dataset.class_count
    network = build_latent_classifier(config, classes, seed).to(device)
    how = {"device": device.type, "precision": str(precision), "source": source_key("")}
    training = augshift.training
    steps = training.epochs * (len(shown[1]) // training.batch_size)
    try:
        with progress_bar(f"training {name}", steps) as on_progress:
            fitted = train_augshift(
                network,
                shown,
                held_out,
                config,
                training,
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
