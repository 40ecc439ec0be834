"""Stage 2 of the posenet experiments: features of frozen backbones, and readouts on them."""

import logging
from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from posinfo.array_cache import ArrayCache
from posinfo.networks.backbones import build_backbone
from posinfo.networks.features import FeatureJob, extract_features
from posinfo.networks.readout_state import to_tensors
from posinfo.networks.readouts import initial_seed, train_readouts
from posinfo.networks.ridge import fit_ridge
from posinfo.pipelines.posenet.cells import Cell
from posinfo.pipelines.posenet.parameters import PosenetParameters
from posinfo.pipelines.posenet.stored import (
    Features,
    StoredFeatures,
    check_photographs,
    open_features,
    stored_features,
)
from posinfo.pipelines.progress import progress_bar
from posinfo.pipelines.shared_parameters import Device, Precision
from posinfo.stimuli.image_set import ImageSet
from posinfo.stimuli.photos import decode_images
from posinfo.stimuli.synthetic import SYNTHETIC

Trained = dict[str, Callable[[], dict[str, Tensor]]]

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
    images = (train_photos, test_photos, synthetic_images)
    return extract_cells(posenet.cells, device, precision, *images, array_cache)


def train(
    posenet: PosenetParameters,
    device: Device,
    precision: Precision,
    features: Features,
    masks: dict[str, Tensor],
    train_photos: pd.DataFrame,
    array_cache: ArrayCache,
) -> Trained:
    """The readouts of each backbone, trained one after the other as the catalog stores them."""
    return train_cells(posenet.cells, device, precision, features, masks, train_photos, array_cache)


def extract_cells(
    cells: Sequence[Cell],
    device: Device,
    precision: Precision,
    train_photos: pd.DataFrame,
    test_photos: pd.DataFrame,
    synthetic_images: dict[str, Tensor],
    array_cache: ArrayCache,
) -> Features:
    """Features of every backbone that the cells name, each once."""
    size = cells[0].image_size
    images = {
        "train": decode_images(train_photos, size, array_cache),
        "photos": decode_images(test_photos, size, array_cache),
        "synthetic": ImageSet.of(torch.cat([synthetic_images[name] for name in SYNTHETIC])),
    }
    on = device.pick()
    number = precision.pick(on)
    sources = {cell.features: cell for cell in cells}
    features, missing = {}, {}
    for label, cell in sources.items():  # one network in memory at a time
        jobs = _feature_jobs(cell, images, on, number)
        features[label] = StoredFeatures(
            settings=cell.feature_settings,
            keys={name: job.key for name, job in jobs.items()},
            channels=cell.row.block_channels(size),
        )
        missing[label] = sum(job.bytes for job in jobs.values() if not job.done(array_cache))
    array_cache.require(sum(missing.values()))
    for label, cell in sources.items():
        jobs = _feature_jobs(cell, images, on, number) if missing[label] else {}
        _extract(label, [job for job in jobs.values() if not job.done(array_cache)], array_cache)
    return features


def train_cells(
    cells: Sequence[Cell],
    device: Device,
    precision: Precision,
    features: Features,
    masks: dict[str, Tensor],
    train_photos: pd.DataFrame,
    array_cache: ArrayCache,
) -> Trained:
    """The readouts of each cell by its label, trained when the catalog asks for them."""
    on = device.pick()
    photographs = train_photos.photograph.tolist()
    work = {}
    for cell in cells:
        stored = stored_features(features, cell)
        check_photographs(stored, "train", train_photos, cell.image_size)
        work[cell.label] = partial(
            _train_one, cell, stored, masks, photographs, on, precision.pick(on), array_cache
        )
    return work


def _feature_jobs(
    cell: Cell, images: dict[str, ImageSet], device: torch.device, precision: torch.dtype
) -> dict[str, FeatureJob]:
    backbone = build_backbone(cell.row, cell.image_size, cell.feature_size, cell.normalisation)
    channels = sum(cell.row.block_channels(cell.image_size).values())
    return {
        name: FeatureJob(backbone, shown, channels, device, precision)
        for name, shown in images.items()
    }


def _extract(label: str, missing: list[FeatureJob], array_cache: ArrayCache) -> None:
    computed = sum(len(job.images) for job in missing)
    with progress_bar(f"features of {label}", computed) as on_progress:
        for job in missing:
            extract_features(job, array_cache, on_progress)
    log.info("%s: features of %d images computed, the others cached", label, computed)


def _train_one(
    cell: Cell,
    stored: StoredFeatures,
    masks: dict[str, Tensor],
    photographs: list[str],
    device: torch.device,
    precision: torch.dtype,
    array_cache: ArrayCache,
) -> dict[str, Tensor]:
    features = open_features(stored, "train", cell, array_cache)
    targets = torch.stack([masks[pattern] for pattern, _ in cell.heads])
    if cell.readout.head == "ridge":
        with progress_bar(f"ridge of {cell.label}", len(features)) as on_progress:
            readouts, history = fit_ridge(
                features,
                targets,
                photographs,
                cell.readout,
                seed=cell.seeds[0],
                device=device,
                on_progress=on_progress,
            )
        chosen = [cell.readout.ridge.penalties[index] for index in history.argmin(0).tolist()]
        log.info("%s: solved with penalties %s", cell.label, chosen)
    else:
        steps = cell.readout.total_steps(len(features))
        with progress_bar(f"readouts of {cell.label}", steps) as on_progress:
            readouts, history = train_readouts(
                features,
                targets,
                [initial_seed(pattern, seed) for pattern, seed in cell.heads],
                cell.readout,
                device=device,
                precision=precision,
                on_progress=on_progress,
            )
        log.info("%s: %d readouts trained for %d steps", cell.label, len(cell.heads), steps)
    return to_tensors(readouts, history, cell.readout_settings(stored["keys"]["train"]))
