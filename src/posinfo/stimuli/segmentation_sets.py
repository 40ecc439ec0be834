"""Data sets of photographs whose pixels have classes, by name."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from jaxtyping import UInt8

from posinfo.choices import Section, one_of
from posinfo.stimuli import cityscapes, voc
from posinfo.stimuli.labelled_photographs import LabelledPhotograph

SPLITS = ("ranking", "test")  # that photographs are dealt to


class SegmentationSet(NamedTuple):
    """A data set.

    Attributes:
        classes: their names, in the order of the labels.
        files: of the photographs that are used, from the folder and the setting that names it.
        classes_of: reads the class of each pixel.
        ranking: which photographs channels are ranked by; attacks are measured on the others.
    """

    classes: tuple[str, ...]
    files: Callable[[Path, str], list[LabelledPhotograph]]
    classes_of: Callable[[Path], UInt8[np.ndarray, "h w"]]
    ranking: Callable[[Sequence[LabelledPhotograph]], list[bool]]

    def splits(self, files: Sequence[LabelledPhotograph]) -> dict[str, list[LabelledPhotograph]]:
        """The photographs of each of ``SPLITS``."""
        ranked = list(zip(files, self.ranking(files), strict=True))
        ranking, test = ([pair for pair, ranks in ranked if ranks == own] for own in (True, False))
        return {"ranking": ranking, "test": test}


class PhotographsConfig(Section):
    """Photographs of a data set.

    Attributes:
        dataset: a key of ``SEGMENTATION_SETS``.
        folder: that it was unpacked in.
    """

    dataset: Annotated[str, one_of("dataset", lambda: SEGMENTATION_SETS)]
    folder: Path


SEGMENTATION_SETS: dict[str, SegmentationSet] = {
    "cityscapes": SegmentationSet(
        cityscapes.CLASSES,
        cityscapes.cityscapes_files,
        cityscapes.cityscapes_classes,
        cityscapes.first_city,
    ),
    "voc": SegmentationSet(voc.CLASSES, voc.voc_files, voc.voc_classes, voc.every_other),
}
