"""Photographs with a class for each of their pixels, in files."""

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from posinfo.checksums import of_file
from posinfo.stimuli.decoding import DamagedImageError

IGNORED = 255  # label of pixels that do not count
Size = tuple[int, int]
"""Height and width in pixels."""


class LabelledPhotograph(NamedTuple):
    """Files of a photograph and of the labels of its pixels."""

    image: Path
    labels: Path


def files_key(files: Sequence[LabelledPhotograph]) -> str:
    """Changes with the content of any file, its name and its folder's name; not with its place."""
    digest = hashlib.sha256()
    for path in (path for pair in files for path in pair):
        stat = path.stat()
        name = f"{path.parent.name}/{path.name}"  # the folder may be a city
        digest.update(f"{name} {_checksum(path, stat.st_size, stat.st_mtime_ns)} ".encode())
    return digest.hexdigest()[:16]


def size_of(path: Path) -> Size:
    """Of an image file, of which the header alone is read.

    Raises:
        DamagedImageError: it is none.
    """
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except OSError as error:
        raise DamagedImageError(f"{path} cannot be decoded: {error}") from error


def read_labelled(
    pair: LabelledPhotograph,
    classes_of: Callable[[Path], UInt8[np.ndarray, "a b"]],
    size: Size | None = None,
) -> tuple[UInt8[np.ndarray, "3 h w"], UInt8[np.ndarray, "h w"]]:
    """RGB values 0..255, and the class of each pixel or ``IGNORED``.

    Args:
        pair: the files.
        classes_of: reads the classes.
        size: that both are resized to, photographs bilinearly and labels to the nearest pixel;
            None: as they are.

    Raises:
        DamagedImageError: a file cannot be decoded.
        ValueError: photograph and labels differ in size, or a label is unknown.
    """
    pixels, classes = _decoded(pair.image, "RGB"), classes_of(pair.labels)
    if classes.shape != pixels.shape[:2]:
        sizes = (f"{width} x {height}" for height, width in (pixels.shape[:2], classes.shape))
        raise ValueError(f"{pair.image} and {pair.labels} differ in size: {' and '.join(sizes)} px")
    if size is not None and size != classes.shape:
        pixels = _resized(pixels, size, Image.Resampling.BILINEAR)
        classes = _resized(classes, size, Image.Resampling.NEAREST)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)), classes


def read_indices(path: Path, mode: str) -> UInt8[np.ndarray, "h w"]:
    """The values of an image of one byte per pixel.

    Args:
        path: of the file.
        mode: that Pillow calls it by: ``L``, or ``P`` with a palette, which is not applied.

    Raises:
        DamagedImageError: it cannot be decoded, or is of another mode.
    """
    return _decoded(path, mode)


def _decoded(path: Path, mode: str) -> np.ndarray:
    try:
        with Image.open(path) as image:
            if mode not in ("RGB", image.mode):
                raise DamagedImageError(f"{path} holds no labels but an image of {image.mode}")
            return np.asarray(image if image.mode == mode else image.convert(mode))
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, DamagedImageError):
            raise
        raise DamagedImageError(f"{path} cannot be decoded: {error}") from error


def _resized(values: np.ndarray, size: Size, how: Image.Resampling) -> np.ndarray:
    return np.asarray(Image.fromarray(values).resize((size[1], size[0]), how))


@lru_cache(maxsize=10_000)
def _checksum(path: Path, size: int, modified: int) -> str:
    """Read again when size or time of change (ns) differ: Cityscapes has 1.2 GB of these files."""
    return of_file(path)
