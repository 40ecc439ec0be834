"""Cityscapes (Cordts et al., CVPR 2016) in its own folders: streets and their labels.

FOLDER/leftImg8bit/val/CITY/CITY_000000_000019_leftImg8bit.png
FOLDER/gtFine/val/CITY/CITY_000000_000019_gtFine_labelIds.png
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from torchvision.datasets import Cityscapes

from posinfo.stimuli.labelled_photographs import IGNORED, LabelledPhotograph, read_indices

SPLIT = "val"
UNKNOWN = 254  # an id that Cityscapes does not have

# the 19 classes that count, in the order of their train ids
CLASSES = tuple(
    each.name
    for each in sorted(Cityscapes.classes, key=lambda each: each.train_id)
    if 0 <= each.train_id < IGNORED
)


def cityscapes_files(folder: Path, setting: str) -> list[LabelledPhotograph]:
    """The validation photographs, by the names of city and file.

    Args:
        folder: that holds ``leftImg8bit`` and ``gtFine``.
        setting: that names the folder, for messages.

    Raises:
        FileNotFoundError: one of the folders or a label is missing, or there is no photograph.
    """
    images, labels = folder / "leftImg8bit" / SPLIT, folder / "gtFine" / SPLIT
    for needed in (images, labels):
        if not needed.is_dir():
            raise FileNotFoundError(
                f"{setting}: there is no folder {needed}: unpack leftImg8bit_trainvaltest.zip and "
                "gtFine_trainvaltest.zip of www.cityscapes-dataset.com in one folder and name it"
            )
    found = []
    for image in sorted(images.glob("*/*_leftImg8bit.png")):
        name = image.name.replace("_leftImg8bit.png", "_gtFine_labelIds.png")
        label = labels / image.parent.name / name
        if not label.is_file():
            raise FileNotFoundError(f"{setting}: {image} has no labels: there is no {label}")
        found.append(LabelledPhotograph(image, label))
    if len({pair.image.parent for pair in found}) < 2:
        raise FileNotFoundError(
            f"{setting}: {len(found)} photographs CITY/*_leftImg8bit.png in {images}, those of two "
            "cities are needed"
        )
    return found


def cityscapes_classes(path: Path) -> UInt8[np.ndarray, "h w"]:
    """The train id of each pixel of a file of label ids: an index of ``CLASSES`` or ``IGNORED``.

    Raises:
        DamagedImageError: it cannot be decoded.
        ValueError: a label is none of Cityscapes'.
    """
    ids = read_indices(path, "L")
    train_ids = _train_ids()[ids]
    if (train_ids == UNKNOWN).any():
        unknown = sorted(set(ids[train_ids == UNKNOWN].tolist()))
        raise ValueError(f"{path} has label ids that Cityscapes has not: {unknown}")
    return train_ids


def first_city(files: Sequence[LabelledPhotograph]) -> list[bool]:
    """Which photographs are of the first city, Frankfurt: of one drive, no independent images."""
    cities = [pair.image.parent.name for pair in files]
    return [city == cities[0] for city in cities]


def _train_ids() -> UInt8[np.ndarray, "256"]:
    """From label ids to train ids."""
    table = np.full(256, UNKNOWN, np.uint8)
    table[IGNORED] = IGNORED  # the id -1, of licence plates
    for each in Cityscapes.classes:
        if each.id >= 0:
            table[each.id] = each.train_id if 0 <= each.train_id < IGNORED else IGNORED
    return table
