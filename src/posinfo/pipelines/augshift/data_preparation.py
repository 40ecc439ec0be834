"""Stage 1 of the augshift experiment: labelled images."""

from collections.abc import Callable
from functools import partial

from torch import Tensor

from posinfo.pipelines.augshift.parameters import AugShiftParameters
from posinfo.pipelines.trained_networks import load_images


def prepare_images(augshift: AugShiftParameters) -> dict[str, Callable[[], dict[str, Tensor]]]:
    """Pixels and labels of the three splits and their colours, by data set of the rows."""
    datasets = {cell.dataset.name: cell.dataset for cell in augshift.cells().values()}
    return {name: partial(load_images, config) for name, config in datasets.items()}
