"""Ground-truth position maps (Islam et al., ICLR 2020, section 3.1 and figure 2).

The formulas are those of the released masks, which the prose of the paper does not always match:
H and V are linear ramps, and HS varies over y (docs/papers/posenet.md). Every map is min-max scaled
to [0, 1].
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from posinfo.choices import one_of, pick

STRIPE_PERIODS = 2.5
GAUSSIAN_SIGMA = 0.5  # fraction of the side
CONTROL_SEED = 20200427

Size = tuple[int, int]
PatternName = Annotated[str, one_of("pattern", lambda: PATTERNS)]
StripesName = Annotated[str, one_of("stripes", lambda: STRIPES)]


def make_pattern(
    name: str, size: Size, stripes: str = "unit", draw: int = 0
) -> Float[Tensor, "h w"]:
    """One ground-truth map by name.

    Args:
        name: a key of ``PATTERNS``.
        size: height and width in pixels, each at least 2.
        stripes: a key of ``STRIPES``: the range of the striped patterns.
        draw: number of the random map, of a control pattern.

    Returns:
        The map in [0, 1], or in [-1, 1].

    Raises:
        ValueError: an unknown name, or a side shorter than 2 pixels.
    """
    if min(size) < 2:
        raise ValueError(f"a pattern needs at least 2x2 pixels; got {size[0]}x{size[1]}")
    low, high = pick("stripes", stripes, STRIPES)
    make = pick("pattern", name, PATTERNS)
    values = make(size, draw) if name in CONTROLS else make(size)
    return values * (high - low) + low if name in STRIPED else values


def horizontal(size: Size) -> Float[Tensor, "h w"]:
    """H: 0 at the left edge to 1 at the right edge."""
    return torch.linspace(0, 1, size[1]).expand(size).clone()


def vertical(size: Size) -> Float[Tensor, "h w"]:
    """V: 0 at the top edge to 1 at the bottom edge."""
    return torch.linspace(0, 1, size[0])[:, None].expand(size).clone()


def gaussian(size: Size) -> Float[Tensor, "h w"]:
    """G: a Gaussian of sigma half the side, 1 at pixel n/2 and 0 at the top left corner."""
    y, x = (_bell(side) for side in size)
    return _min_max(y[:, None] * x)


def horizontal_stripes(size: Size) -> Float[Tensor, "h w"]:
    """HS: 2.5 cosine periods over y from a peak at the edge: horizontal stripes."""
    return _stripes(size[0])[:, None].expand(size).clone()


def vertical_stripes(size: Size) -> Float[Tensor, "h w"]:
    """VS: 2.5 cosine periods over x from a peak at the edge: vertical stripes."""
    return _stripes(size[1]).expand(size).clone()


def random_map(cells: int, size: Size, draw: int) -> Float[Tensor, "h w"]:
    """A control: exactly the values of H, in random places.

    The order of the values follows noise that is drawn on a coarse grid and interpolated. A probe
    that fits this map fits any map as smooth (control tasks: Hewitt and Liang, 2019).

    Args:
        cells: of the grid on each axis: the fewer, the smoother the map.
        size: height and width in pixels.
        draw: number of the map.
    """
    generator = torch.Generator().manual_seed(CONTROL_SEED + draw)
    noise = torch.randn(1, 1, cells, cells, generator=generator)
    order = interpolate(noise, size, mode="bicubic").flatten().argsort(stable=True)
    values = horizontal(size).flatten().sort().values
    return torch.empty_like(values).scatter_(0, order, values).view(size)


def _bell(side: int) -> Float[Tensor, " side"]:
    positions = torch.arange(side) / side
    return torch.exp(-0.5 * ((positions - 0.5) / GAUSSIAN_SIGMA) ** 2)


def _stripes(side: int) -> Float[Tensor, " side"]:
    positions = (torch.arange(side) + 0.5) / side
    return _min_max(torch.cos(2 * math.pi * STRIPE_PERIODS * positions))


def _min_max(values: Tensor) -> Tensor:
    return (values - values.min()) / (values.max() - values.min())


STRIPED = ("horizontal_stripes", "vertical_stripes")

# As the released masks are, and as the floors of the published table imply.
STRIPES: dict[str, tuple[float, float]] = {"unit": (0, 1), "signed": (-1, 1)}

# Cells of the noise: 28 is the finest detail that a readout of 28x28 features can draw.
CONTROLS = {"control_3": 3, "control_6": 6, "control": 28}

PATTERNS: dict[str, Callable[..., Tensor]] = {
    "horizontal": horizontal,
    "vertical": vertical,
    "gaussian": gaussian,
    "horizontal_stripes": horizontal_stripes,
    "vertical_stripes": vertical_stripes,
    **{name: partial(random_map, cells) for name, cells in CONTROLS.items()},
}
