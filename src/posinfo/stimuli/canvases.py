"""Shifted canvases: an image in one cell of a grid (Islam et al., ICCV 2021, experiment 1).

Cells are counted row by row from the top left, so that the cell of a location is its class.
"""

from collections.abc import Callable
from typing import Annotated

import torch
from jaxtyping import Float, Int64, UInt8
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor

from posinfo.choices import check

Channel = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Channel, Channel, Channel]


class CanvasConfig(BaseModel):
    """The canvas that tiles are pasted on.

    Attributes:
        grid: cells per side.
        cell: side of a cell in pixels; a smaller tile stands in its middle.
        colour: a key of ``COLOURS`` or red, green and blue, each 0..255.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    grid: int = Field(ge=2, le=16)
    cell: int = Field(ge=1)
    colour: str | Colour

    @field_validator("colour")
    @classmethod
    def _known_colour(cls, colour: str | Colour) -> str | Colour:
        return check("canvas colour", colour, COLOURS) if isinstance(colour, str) else colour

    @property
    def side(self) -> int:
        """Of the canvas, in pixels."""
        return self.grid * self.cell

    @property
    def locations(self) -> int:
        """Number of cells."""
        return self.grid**2


class Canvases:
    """Labelled tiles on one device, ready to be pasted in batches.

    Normalising and pasting commute: a normalised tile on the normalised colour is the normalised
    canvas. So only tiles are normalised, and the canvas is written once in the number format of
    the network.

    Args:
        pixels: the tiles, RGB values 0..255.
        config: of the canvas.
        mean: of each channel in [0, 1], subtracted.
        std: of each channel in [0, 1], divided by.
        device: holds the tiles and the canvases.
        precision: of the canvases.

    Raises:
        ValueError: the tiles are larger than a cell.
    """

    def __init__(
        self,
        pixels: UInt8[Tensor, "n 3 h w"],
        config: CanvasConfig,
        mean: Float[Tensor, "3"],
        std: Float[Tensor, "3"],
        *,
        device: torch.device,
        precision: torch.dtype = torch.float32,
    ) -> None:
        height, width = pixels.shape[2:]
        if max(height, width) > config.cell:
            raise ValueError(
                f"tiles of {height} x {width} px do not fit a canvas cell of {config.cell} px: "
                "enlarge `cell`"
            )
        self.config = config
        self._tiles = pixels.permute(0, 2, 3, 1).contiguous().to(device)
        self._scale = (1 / (255 * std)).to(device)
        self._offset = (mean / std).to(device)
        colour = _colour(config.colour, mean)
        side = config.side
        self._blank = ((colour - mean) / std).to(device, precision).expand(side, side, 3).clone()
        self._top, self._left = (config.cell - height) // 2, (config.cell - width) // 2

    def __len__(self) -> int:
        """The number of tiles."""
        return len(self._tiles)

    def batch(
        self,
        images: Int64[Tensor, " b"],
        cells: Int64[Tensor, " b"],
        mirrored: Tensor | None = None,
    ) -> Float[Tensor, "b 3 s s"]:
        """Normalised canvases, channels last in memory.

        Args:
            images: which tile to paste, on any device.
            cells: where, 0 to ``locations - 1``.
            mirrored: whether to flip each tile left to right.
        """
        device = self._tiles.device
        tiles = self._tiles[images.to(device)]
        if mirrored is not None:
            tiles = torch.where(mirrored.to(device)[:, None, None, None], tiles.flip(2), tiles)
        height, width = tiles.shape[1:3]
        grid, cell = self.config.grid, self.config.cell
        canvases = self._blank.expand(len(tiles), -1, -1, -1).clone()
        blocks = canvases.view(-1, grid, cell, grid, cell, 3)
        cells = cells.to(device)
        blocks[
            torch.arange(len(tiles), device=device),
            cells // grid,
            self._top : self._top + height,
            cells % grid,
            self._left : self._left + width,
        ] = (tiles * self._scale - self._offset).to(canvases.dtype)
        return canvases.permute(0, 3, 1, 2)


def _colour(colour: str | Colour, mean: Float[Tensor, "3"]) -> Float[Tensor, "3"]:
    if isinstance(colour, str):
        return COLOURS[colour](mean)
    return torch.tensor(colour) / 255


COLOURS: dict[str, Callable[[Float[Tensor, "3"]], Float[Tensor, "3"]]] = {
    "black": torch.zeros_like,
    "white": torch.ones_like,
    "mean": lambda mean: (mean * 255).round() / 255,  # the nearest 8-bit colour
    # pasted on zeros after normalising: what is called black there is exactly the mean
    "released": torch.clone,
}
