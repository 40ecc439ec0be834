"""Images without content: black, white and noise (Islam et al., ICLR 2020, section 3.1)."""

from collections.abc import Callable
from typing import Annotated

import torch
from jaxtyping import UInt8
from torch import Tensor

from posinfo.choices import one_of, pick

# A normal distribution clipped at 0 that has, after clipping, the mean, the standard deviation and
# the correlation between channels of the released noise image: 25 and 23.7 of 255, and .87
# (docs/papers/posenet.md).
NOISE_MEAN = 20.8
NOISE_STD = 29.6
NOISE_CORRELATION = 0.885
NOISE_SEED = 20200427

StimulusName = Annotated[str, one_of("stimulus", lambda: SYNTHETIC)]


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
    """Dark, nearly grey Gaussian noise, clipped at 0: every pixel is drawn by itself."""
    return _noise(size, NOISE_CORRELATION)


def noise_independent(size: tuple[int, int]) -> UInt8[Tensor, "1 3 h w"]:
    """The same noise, but every channel is drawn by itself, too."""
    return _noise(size, 0.0)


def _noise(size: tuple[int, int], correlation: float) -> UInt8[Tensor, "1 3 h w"]:
    generator = torch.Generator().manual_seed(NOISE_SEED)
    own, shared = (torch.randn(1, count, *size, generator=generator) for count in (3, 1))
    values = own * (1 - correlation) ** 0.5 + shared * correlation**0.5
    return (values * NOISE_STD + NOISE_MEAN).round().clamp(0, 255).to(torch.uint8)


SYNTHETIC: dict[str, Callable[[tuple[int, int]], Tensor]] = {
    "black": black,
    "white": white,
    "noise": noise,
    "noise_independent": noise_independent,
}
