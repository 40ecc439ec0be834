"""What an earlier stage has stored, checked against what is asked for now."""

from collections.abc import Callable, Mapping
from typing import TypedDict

import pandas as pd
from torch import Tensor

from posinfo.networks.readout_state import from_tensors
from posinfo.networks.readouts import Readouts
from posinfo.pipelines.posenet.parameters import PosenetParameters
from posinfo.stimuli.photos import images_key

AGAIN = "run the stage `modeling`, or the whole pipeline, again"


class RowFeatures(TypedDict):
    """Where the features of one backbone are: a key of the array cache per set of images."""

    settings: dict[str, object]
    keys: dict[str, str]


Features = dict[str, RowFeatures]
StoredReadouts = Mapping[str, Callable[[], dict[str, Tensor]]]


def feature_keys(features: Features, label: str, posenet: PosenetParameters) -> dict[str, str]:
    """Keys of the features of a backbone by set of images.

    Raises:
        ValueError: they are missing, or of another backbone, size or normalisation.
    """
    stored = features.get(label)
    if stored is None or stored["settings"] != posenet.feature_settings(label):
        raise ValueError(f"there are no features of {label!r} with these settings: {AGAIN}")
    return stored["keys"]


def check_photographs(keys: dict[str, str], photos: pd.DataFrame, image_size: int) -> None:
    """Whether features are those of these photographs.

    Raises:
        ValueError: the photographs have changed since.
    """
    if images_key(photos, image_size) not in keys["photos"]:
        raise ValueError(f"the test photographs are not those that features were made of: {AGAIN}")


def trained_readouts(
    readouts: StoredReadouts, label: str, keys: dict[str, str], posenet: PosenetParameters
) -> tuple[Readouts, Tensor]:
    """The readouts of a backbone and the loss of each epoch.

    Raises:
        ValueError: they are missing, or were trained with other settings.
    """
    if label not in readouts:
        raise ValueError(f"there are no trained readouts of {label!r}: {AGAIN}")
    return from_tensors(readouts[label](), posenet.readout, posenet.readout_settings(keys["train"]))
