"""Cityscapes (Cordts et al., CVPR 2016) in its own folders: streets and their labels.

FOLDER/leftImg8bit/val/CITY/CITY_000000_000019_leftImg8bit.png
FOLDER/gtFine/val/CITY/CITY_000000_000019_gtFine_labelIds.png
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from torchvision.datasets import Cityscapes

from posinfo.stimuli.decoding import DamagedImageError

IGNORED = 255
UNKNOWN = 254  # an id that Cityscapes does not have

# the 19 classes that count, in the order of their train ids
CLASSES = tuple(
    each.name
    for each in sorted(Cityscapes.classes, key=lambda each: each.train_id)
    if 0 <= each.train_id < IGNORED
)


class LabelledPhotograph(NamedTuple):
    """Files of a photograph and of the label ids of its pixels."""

    image: Path
    labels: Path


def cityscapes_files(folder: Path, setting: str, split: str = "val") -> list[LabelledPhotograph]:
    """The photographs of a split, by the names of city and file.

    Args:
        folder: that holds ``leftImg8bit`` and ``gtFine``.
        setting: that names the folder, for messages.
        split: ``train`` or ``val``.

    Raises:
        FileNotFoundError: one of the folders or a label is missing, or there is no photograph.
    """
    images, labels = folder / "leftImg8bit" / split, folder / "gtFine" / split
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


def cityscapes_key(files: Sequence[LabelledPhotograph]) -> str:
    """Changes with the content of any of the files, and not with their folder."""
    digest = hashlib.sha256()
    for pair in files:
        for path in pair:
            with path.open("rb") as file:
                digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def read_cityscapes(
    pair: LabelledPhotograph,
) -> tuple[UInt8[np.ndarray, "3 h w"], UInt8[np.ndarray, "h w"]]:
    """RGB values 0..255, and the train id of each pixel: an index of ``CLASSES`` or 255.

    Raises:
        DamagedImageError: a file cannot be decoded.
        ValueError: photograph and labels differ in size, or a label is none of Cityscapes'.
    """
    pixels = _decoded(pair.image, "RGB").transpose(2, 0, 1)
    ids = _decoded(pair.labels, "L")
    if ids.shape != pixels.shape[1:]:
        sizes = (f"{width} x {height}" for height, width in (pixels.shape[1:], ids.shape))
        raise ValueError(f"{pair.image} and {pair.labels} differ in size: {' and '.join(sizes)} px")
    train_ids = _train_ids()[ids]
    if (train_ids == UNKNOWN).any():
        unknown = sorted(set(ids[train_ids == UNKNOWN].tolist()))
        raise ValueError(f"{pair.labels} has label ids that Cityscapes has not: {unknown}")
    return np.ascontiguousarray(pixels), train_ids


def _train_ids() -> UInt8[np.ndarray, "256"]:
    """From label ids to train ids."""
    table = np.full(256, UNKNOWN, np.uint8)
    table[IGNORED] = IGNORED  # the id -1, of licence plates
    for each in Cityscapes.classes:
        if each.id >= 0:
            table[each.id] = each.train_id if 0 <= each.train_id < IGNORED else IGNORED
    return table


def _decoded(path: Path, mode: str) -> np.ndarray:
    try:
        with Image.open(path) as image:
            if mode == "L" and image.mode != "L":
                raise DamagedImageError(f"{path} holds no label ids but an image of {image.mode}")
            return np.asarray(image.convert(mode))
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, DamagedImageError):
            raise
        raise DamagedImageError(f"{path} cannot be decoded: {error}") from error
