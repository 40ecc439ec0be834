"""A tile at the top left or the bottom right of a black canvas, far from the border or near it.

The task of experiment 1 of Kayhan and van Gemert (CVPR 2020): every tile stands once in each of the
two corners, so that nothing but the place tells the classes apart.
"""

from typing import Annotated

import torch
from jaxtyping import Int64, Shaped
from pydantic import Field
from torch import Tensor
from torch.nn.functional import pad

from posinfo.choices import Section, one_of

TILE = 56  # px
BORDERS = ("black", "released")


class QuadrantConfig(Section):
    """The canvas and what surrounds it.

    Attributes:
        canvas: its side in pixels; paper: 112, released code: 120. Where the two places are no
            multiple of a network's stride apart, it can tell them by that alone.
        border: pixels around the canvas on each side.
        kind: ``black``: black pixels; ``released``: zeros of the first convolution's own padding,
            which are not black but the mean colour, and replace that padding.
    """

    canvas: int = Field(ge=2 * TILE)
    border: int = Field(ge=0)
    kind: Annotated[str, one_of("border kind", BORDERS)]

    @property
    def side(self) -> int:
        """Side in pixels of what the network is given."""
        return self.canvas + (2 * self.border if self.kind == "black" else 0)

    @property
    def first_padding(self) -> int | None:
        """Of the first convolution, in pixels; None: as built."""
        return self.border if self.kind == "released" else None


def place_tiles(
    tiles: Shaped[Tensor, "n 3 56 56"], places: Int64[Tensor, " n"], config: QuadrantConfig
) -> Shaped[Tensor, "n 3 s s"]:
    """Tiles at their places, surrounded by zeros.

    Args:
        tiles: of any dtype: RGB values for ``black``, normalised ones for ``released``.
        places: of each tile: 0 at the top left, 1 at the bottom right; on any device.
        config: canvas and border.
    """
    far = config.canvas - TILE
    outside = (config.side - config.canvas) // 2
    near, beyond = outside, outside + far
    placed = torch.stack([pad(tiles, (near, beyond) * 2), pad(tiles, (beyond, near) * 2)])
    return placed[places.to(tiles.device), torch.arange(len(tiles), device=tiles.device)]
