"""PASCAL VOC 2012 (Everingham et al., IJCV 2010) in its own folders: the segmented photographs.

FOLDER/ImageSets/Segmentation/val.txt
FOLDER/JPEGImages/2007_000033.jpg
FOLDER/SegmentationClass/2007_000033.png
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from torchvision.models.segmentation import DeepLabV3_ResNet50_Weights

from posinfo.stimuli.labelled_photographs import (
    IGNORED,
    LabelledPhotograph,
    read_indices,
    size_of,
)

# the background and the 20 classes, in the order of their labels
CLASSES: tuple[str, ...] = tuple(
    DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1.meta["categories"]
)


def voc_files(folder: Path, setting: str) -> list[LabelledPhotograph]:
    """The validation photographs of the commonest size, in the order of the list.

    An average over places is of one shape of image. Most photographs are of 500 x 375 px.

    Args:
        folder: ``VOC2012``.
        setting: that names the folder, for messages.

    Raises:
        FileNotFoundError: the list or a file is missing, or there are fewer than two photographs.
    """
    names = folder / "ImageSets" / "Segmentation" / "val.txt"
    if not names.is_file():
        raise FileNotFoundError(
            f"{setting}: there is no file {names}: unpack VOCtrainval_11-May-2012.tar of "
            "host.robots.ox.ac.uk/pascal/VOC and name the folder VOCdevkit/VOC2012"
        )
    found = [
        LabelledPhotograph(
            folder / "JPEGImages" / f"{name}.jpg", folder / "SegmentationClass" / f"{name}.png"
        )
        for name in names.read_text().split()
    ]
    for path in (path for pair in found for path in pair):
        if not path.is_file():
            raise FileNotFoundError(f"{setting}: {names} lists it, and there is no file {path}")
    sizes = [size_of(pair.image) for pair in found]
    common = Counter(sizes).most_common(1)
    kept = [pair for pair, size in zip(found, sizes, strict=True) if size == common[0][0]]
    if len(kept) < 2:
        raise FileNotFoundError(f"{setting}: {names} lists {len(kept)} photographs of one size")
    return kept


def voc_classes(path: Path) -> UInt8[np.ndarray, "h w"]:
    """The class of each pixel, an index of ``CLASSES``, or ``IGNORED`` along the borders.

    Raises:
        DamagedImageError: it cannot be decoded.
        ValueError: a label is none of VOC's.
    """
    labels = read_indices(path, "P")
    unknown = set(labels[labels != IGNORED].tolist()) - set(range(len(CLASSES)))
    if unknown:
        raise ValueError(f"{path} has labels that VOC has not: {sorted(unknown)}")
    return labels


def every_other(files: Sequence[LabelledPhotograph]) -> list[bool]:
    """The first photograph, the third, the fifth and so on."""
    return [index % 2 == 0 for index in range(len(files))]
