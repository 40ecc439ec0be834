"""Stage 1 of the augshift experiment: labelled images."""

from torch import Tensor

from posinfo.pipelines.augshift.parameters import AugShiftParameters
from posinfo.stimuli.labelled_images import load_labelled_images


def prepare_images(augshift: AugShiftParameters) -> dict[str, Tensor]:
    """Pixels and labels of the three splits, and the colours to normalise them by."""
    return load_labelled_images(augshift.dataset)
