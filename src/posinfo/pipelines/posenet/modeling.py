"""Stage 2 of the posenet experiment: features of frozen backbones, and readouts on them."""

import logging
from collections.abc import Callable
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from posinfo.array_cache import ArrayCache
from posinfo.networks.backbones import BackboneConfig, build_backbone
from posinfo.networks.features import FeatureJob, extract_features
from posinfo.networks.readout_state import to_tensors
from posinfo.networks.readouts import initial_seed
from posinfo.networks.readouts import train_readouts as fit_readouts
from posinfo.pipelines.posenet.parameters import PosenetParameters
from posinfo.pipelines.posenet.stored import Features, feature_keys
from posinfo.pipelines.progress import progress_bar
from posinfo.pipelines.shared_parameters import Device, Precision
from posinfo.stimuli.image_set import ImageSet
from posinfo.stimuli.photos import decode_images
from posinfo.stimuli.synthetic import SYNTHETIC

log = logging.getLogger(__name__)


def extract(
    posenet: PosenetParameters,
    device: Device,
    precision: Precision,
    train_photos: pd.DataFrame,
    test_photos: pd.DataFrame,
    synthetic_images: dict[str, Tensor],
    array_cache: ArrayCache,
) -> Features:
    """Keys of the cached features of each backbone; what the cache lacks is computed."""
    images = {
        "train": decode_images(train_photos, posenet.image_size, array_cache),
        "photos": decode_images(test_photos, posenet.image_size, array_cache),
        "synthetic": ImageSet.of(torch.cat([synthetic_images[name] for name in SYNTHETIC])),
    }
    on = device.pick()
    jobs = {
        label: _feature_jobs(row, posenet, images, on, precision.pick(on))
        for label, row in posenet.rows.items()
    }
    missing = [job for row in jobs.values() for job in row.values() if not job.done(array_cache)]
    array_cache.require(sum(job.bytes for job in missing))
    return {
        label: {
            "settings": posenet.feature_settings(label),
            "keys": _extract_row(label, row, array_cache),
        }
        for label, row in jobs.items()
    }


def train(
    posenet: PosenetParameters,
    device: Device,
    precision: Precision,
    features: Features,
    masks: dict[str, Tensor],
    array_cache: ArrayCache,
) -> dict[str, Callable[[], dict[str, Tensor]]]:
    """The readouts of each backbone, trained one after the other as the catalog stores them."""
    on = device.pick()
    keys = {label: feature_keys(features, label, posenet)["train"] for label in posenet.rows}
    return {
        label: partial(_train_one, label, posenet, masks, key, on, precision.pick(on), array_cache)
        for label, key in keys.items()
    }


def _feature_jobs(
    row: BackboneConfig,
    posenet: PosenetParameters,
    images: dict[str, ImageSet],
    device: torch.device,
    precision: torch.dtype,
) -> dict[str, FeatureJob]:
    backbone = build_backbone(row, posenet.feature_size, posenet.normalisation)
    channels = row.feature_channels(posenet.image_size, posenet.feature_size)
    return {
        name: FeatureJob(backbone, shown, channels, device, precision)
        for name, shown in images.items()
    }


def _extract_row(
    label: str, jobs: dict[str, FeatureJob], array_cache: ArrayCache
) -> dict[str, str]:
    missing = [job for job in jobs.values() if not job.done(array_cache)]
    computed = sum(len(job.images) for job in missing)
    with progress_bar(f"features of {label}", computed) as on_progress:
        for job in missing:
            extract_features(job, array_cache, on_progress)
    log.info("%s: features of %d images computed, the others cached", label, computed)
    return {name: job.key for name, job in jobs.items()}


def _train_one(
    label: str,
    posenet: PosenetParameters,
    masks: dict[str, Tensor],
    key: str,
    device: torch.device,
    precision: torch.dtype,
    array_cache: ArrayCache,
) -> dict[str, Tensor]:
    features = array_cache.open(key)
    steps = posenet.readout.total_steps(len(features))
    with progress_bar(f"readouts of {label}", steps) as on_progress:
        readouts, history = fit_readouts(
            features,
            torch.stack([masks[pattern] for pattern, _ in posenet.heads]),
            [initial_seed(pattern, seed) for pattern, seed in posenet.heads],
            posenet.readout,
            device=device,
            precision=precision,
            on_progress=on_progress,
        )
    log.info("%s: %d readouts trained for %d steps", label, len(posenet.heads), steps)
    return to_tensors(readouts, history, posenet.readout_settings(key))
