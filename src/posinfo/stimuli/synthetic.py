"""Images without content: black, white and noise (Islam et al., ICLR 2020, section 3.1)."""

from collections.abc import Callable

import torch
from jaxtyping import UInt8
from torch import Tensor

from posinfo.choices import pick

# A normal distribution clipped at 0 whose mean and standard deviation, after clipping, are those
# of the released noise image: 25 and 23.7 of 255 (docs/papers/posenet.md).
NOISE_MEAN = 20.8
NOISE_STD = 29.6
NOISE_SEED = 20200427


def synthetic_image(name: str, size: tuple[int, int]) -> UInt8[Tensor, "1 3 h w"]:
    """One image by name.

    Args:
        name: a key of ``SYNTHETIC``.
        size: height and width in pixels.

    Raises:
        ValueError: an unknown name.
    """
    return pick("stimulus", name, SYNTHETIC)(size)


def black(size: tuple[int, int]) -> UInt8[Tensor, "1 3 h w"]:
    """0 everywhere."""
    return torch.zeros(1, 3, *size, dtype=torch.uint8)


def white(size: tuple[int, int]) -> UInt8[Tensor, "1 3 h w"]:
    """255 everywhere."""
    return torch.full((1, 3, *size), 255, dtype=torch.uint8)


def noise(size: tuple[int, int]) -> UInt8[Tensor, "1 3 h w"]:
    """Dark Gaussian noise, independent in every pixel and channel, clipped at 0."""
    generator = torch.Generator().manual_seed(NOISE_SEED)
    values = torch.randn(1, 3, *size, generator=generator) * NOISE_STD + NOISE_MEAN
    return values.round().clamp(0, 255).to(torch.uint8)


SYNTHETIC: dict[str, Callable[[tuple[int, int]], Tensor]] = {
    "black": black,
    "white": white,
    "noise": noise,
}
