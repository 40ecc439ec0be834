"""Trained networks in a file: the state dict, and the colours of the images it was trained on."""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from posinfo.networks.models.normalisation import Colours

COLOURS = MEAN, STD = "colours.mean", "colours.std"
BACKBONES = ("maps.", "backbone.")  # what names of its tensors begin with: classifiers, segmenters


def with_colours(
    weights: Mapping[str, Tensor], mean: Float[Tensor, "3"], std: Float[Tensor, "3"]
) -> dict[str, Tensor]:
    """A state dict, and what was subtracted from the images and what they were divided by."""
    return {**weights, MEAN: mean, STD: std}


def without_colours(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict."""
    return {name: tensor for name, tensor in tensors.items() if name not in COLOURS}


def is_trained_file(tensors: Mapping[str, Tensor]) -> bool:
    """Whether ``with_colours`` has made them."""
    return MEAN in tensors


def backbone_weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a trained network without its classifier, or its segmentation head."""
    return {
        name.partition(".")[2]: tensor
        for name, tensor in tensors.items()
        if name.startswith(BACKBONES)
    }


def trained_colours(tensors: Mapping[str, Tensor]) -> Colours:
    """What the network's images were normalised by."""
    return colours_of(tensors[MEAN], tensors[STD])


def colours_of(mean: Float[Tensor, "3"], std: Float[Tensor, "3"]) -> Colours:
    """Two tensors as ``normalise`` takes them."""
    red, green, blue = zip(mean.tolist(), std.tolist(), strict=True)
    return (red[0], green[0], blue[0]), (red[1], green[1], blue[1])
