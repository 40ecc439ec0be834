"""Stage 2 of the ablations: features that posenet has not cached, and a readout per cell."""

import pandas as pd
from torch import Tensor

from posinfo.array_cache import ArrayCache
from posinfo.pipelines.posenet.modeling import Trained, extract_cells, train_cells
from posinfo.pipelines.posenet.parameters import PosenetParameters
from posinfo.pipelines.posenet.stored import Features
from posinfo.pipelines.posenet_ablations.parameters import AblationParameters
from posinfo.pipelines.shared_parameters import Device, Precision


def extract(
    posenet: PosenetParameters,
    ablations: AblationParameters,
    device: Device,
    precision: Precision,
    train_photos: pd.DataFrame,
    test_photos: pd.DataFrame,
    synthetic_images: dict[str, Tensor],
    array_cache: ArrayCache,
) -> Features:
    """Keys of the cached features of each backbone that a cell names."""
    images = (train_photos, test_photos, synthetic_images)
    return extract_cells(ablations.resolve(posenet), device, precision, *images, array_cache)


def train(
    posenet: PosenetParameters,
    ablations: AblationParameters,
    device: Device,
    precision: Precision,
    features: Features,
    masks: dict[str, Tensor],
    train_photos: pd.DataFrame,
    array_cache: ArrayCache,
) -> Trained:
    """The readouts of each cell, fitted one after the other as the catalog stores them."""
    stored = (features, masks, train_photos, array_cache)
    return train_cells(ablations.resolve(posenet), device, precision, *stored)
