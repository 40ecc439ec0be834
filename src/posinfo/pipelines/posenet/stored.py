"""What an earlier stage has stored, checked against what is asked for now."""

from collections.abc import Callable, Mapping
from typing import TypedDict

import pandas as pd
from torch import Tensor

from posinfo.array_cache import ArrayCache
from posinfo.networks.feature_array import FeatureArray
from posinfo.networks.readout_state import from_tensors
from posinfo.networks.readouts import Readouts
from posinfo.pipelines.posenet.cells import Cell
from posinfo.stimuli.photos import images_key

AGAIN = "run the stage `modeling`, or the whole pipeline, again"


class StoredFeatures(TypedDict):
    """Where features are: a key of the array cache per set of images, and their blocks."""

    settings: dict[str, object]
    keys: dict[str, str]
    channels: dict[str, int]


Features = dict[str, StoredFeatures]
StoredReadouts = Mapping[str, Callable[[], dict[str, Tensor]]]


def stored_features(features: Features, cell: Cell) -> StoredFeatures:
    """Where the features of a cell are.

    Raises:
        ValueError: they are missing, or of another backbone, size or normalisation.
    """
    stored = features.get(cell.features)
    if stored is None or stored["settings"] != cell.feature_settings:
        raise ValueError(f"there are no features of {cell.features!r} with these settings: {AGAIN}")
    return stored


def open_features(
    stored: StoredFeatures, images: str, cell: Cell, array_cache: ArrayCache
) -> FeatureArray:
    """The features that a cell reads, of one set of images."""
    array = array_cache.open(stored["keys"][images])
    return FeatureArray(array, stored["channels"], cell.blocks)


def check_photographs(
    stored: StoredFeatures, images: str, photos: pd.DataFrame, image_size: int
) -> None:
    """Whether features are those of these photographs.

    Raises:
        ValueError: the photographs have changed since.
    """
    if images_key(photos, image_size) not in stored["keys"][images]:
        raise ValueError(f"the {images} images are not those that features were made of: {AGAIN}")


def trained_readouts(
    readouts: StoredReadouts, cell: Cell, stored: StoredFeatures
) -> tuple[Readouts, Tensor]:
    """The readouts of a cell and the loss of each epoch.

    Raises:
        ValueError: they are missing, or were trained with other settings.
    """
    if cell.label not in readouts:
        raise ValueError(f"there are no trained readouts of {cell.label!r}: {AGAIN}")
    settings = cell.readout_settings(stored["keys"]["train"])
    return from_tensors(readouts[cell.label](), cell.readout, settings)
