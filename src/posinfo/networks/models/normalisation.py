"""From 8-bit RGB to the normalised colours that the weights of a network expect."""

from typing import Annotated

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from posinfo.choices import one_of, pick

Colour = tuple[float, float, float]
Colours = tuple[Colour, Colour]
"""Mean and standard deviation of each channel, in [0, 1]."""
NormalisationName = Annotated[str, one_of("normalisation", lambda: NORMALISATIONS)]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalise(
    images: UInt8[Tensor, "n 3 h w"], kind: str, own: Colours | None = None
) -> Float[Tensor, "n 3 h w"]:
    """Float images for a network.

    Args:
        images: RGB values 0..255.
        kind: ``imagenet`` subtracts the mean and divides by the standard deviation of ImageNet;
            ``none`` stops at [0, 1], as the released code of Islam et al. does.
        own: mean and standard deviation that the weights were trained with, where they are not
            ImageNet's; they replace those of ``imagenet``.

    Raises:
        ValueError: an unknown kind.
    """
    colours = pick("normalisation", kind, NORMALISATIONS)
    mean, std = (
        torch.tensor(values, device=images.device)[:, None, None]
        for values in (own if own and kind == "imagenet" else colours)
    )
    return images.float().mul_(1 / (255 * std)).sub_(mean / std)


NORMALISATIONS: dict[str, Colours] = {
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
