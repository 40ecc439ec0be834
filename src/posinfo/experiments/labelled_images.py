"""The first step of every experiment that trains classifiers: labelled images in three splits."""

from posinfo.experiment import Cell, Inputs, Result
from posinfo.stimuli.labelled_images import DatasetConfig, load_labelled_images
from posinfo.work import Work


class ImagesCell(Cell):
    """A data set.

    Attributes:
        dataset: which images, and how they are split.
    """

    dataset: DatasetConfig


def run(cell: ImagesCell, inputs: Inputs, work: Work) -> Result:
    """Pixels and labels of each split and their colours, see ``load_labelled_images``."""
    return Result(tensors=load_labelled_images(cell.dataset))
