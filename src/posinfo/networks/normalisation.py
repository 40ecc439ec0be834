"""From 8-bit RGB to what a network's weights expect."""

from collections.abc import Callable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from posinfo.choices import pick

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalise(images: UInt8[Tensor, "n 3 h w"], kind: str) -> Float[Tensor, "n 3 h w"]:
    """Float images for a network.

    Args:
        images: RGB values 0..255.
        kind: ``imagenet`` subtracts the mean and divides by the standard deviation of ImageNet;
            ``none`` stops at [0, 1], as the released code of Islam et al. does.

    Raises:
        ValueError: an unknown kind.
    """
    return pick("normalisation", kind, NORMALISATIONS)(images.float() / 255)


def _imagenet(images: Tensor) -> Tensor:
    mean, std = (
        torch.tensor(values, device=images.device)[:, None, None]
        for values in (IMAGENET_MEAN, IMAGENET_STD)
    )
    return (images - mean) / std


def _unchanged(images: Tensor) -> Tensor:
    return images


NORMALISATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "imagenet": _imagenet,
    "none": _unchanged,
}
