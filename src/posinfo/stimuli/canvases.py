"""Shifted canvases: an image at one location of a grid (Islam et al., ICCV 2021, experiment 1).

Locations are numbered row by row from the top left, starting at 0; the number is the class that a
network is to recognise.
"""

from collections.abc import Callable
from typing import Annotated

import torch
from jaxtyping import Float, Int64, UInt8
from pydantic import AfterValidator, Field
from torch import Tensor

from posinfo.choices import Section, check
from posinfo.stimuli.device_images import DeviceImages

Channel = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Channel, Channel, Channel]


def _check_colour(colour: str | Colour) -> str | Colour:
    return check("canvas colour", colour, COLOURS) if isinstance(colour, str) else colour


class CanvasConfig(Section):
    """The canvas that tiles are pasted on.

    Attributes:
        grid: locations per side of the canvas.
        location_size: side of a location in pixels; a smaller tile stands in its middle.
        colour: a key of ``COLOURS`` or red, green and blue, each 0..255.
    """

    grid: int = Field(ge=2, le=16)
    location_size: int = Field(ge=1)
    colour: Annotated[str | Colour, AfterValidator(_check_colour)]

    @property
    def side(self) -> int:
        """Side of the canvas in pixels."""
        return self.grid * self.location_size

    @property
    def locations(self) -> int:
        """Number of locations."""
        return self.grid**2


class Canvases(DeviceImages):
    """Tiles on one device, ready to be pasted on canvases in batches.

    Normalising and pasting commute: a normalised tile on the normalised colour is the normalised
    canvas. So only tiles are normalised, and the canvas is written once in the dtype of the
    network.

    Args:
        pixels: the tiles, RGB values 0..255.
        config: grid, size and colour of the canvases.
        mean: subtracted from each channel, in units of [0, 1].
        std: each channel is divided by it, in units of [0, 1].
        device: holds the tiles and the canvases.
        dtype: floating-point type of the canvases.

    Raises:
        ValueError: the tiles are larger than a location.
    """

    def __init__(
        self,
        pixels: UInt8[Tensor, "n 3 h w"],
        config: CanvasConfig,
        mean: Float[Tensor, "3"],
        std: Float[Tensor, "3"],
        *,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        height, width = pixels.shape[2:]
        size, side = config.location_size, config.side
        if max(height, width) > size:
            raise ValueError(
                f"tiles of {height} x {width} px do not fit a canvas location of {size} px: "
                "enlarge `location_size`"
            )
        super().__init__(pixels, mean, std, device=device, dtype=dtype)
        self.config = config
        colour = _colour(config.colour, mean)
        self._blank = ((colour - mean) / std).to(device, dtype).expand(side, side, 3).clone()
        self._top, self._left = (size - height) // 2, (size - width) // 2

    def batch(
        self,
        images: Int64[Tensor, " b"],
        locations: Int64[Tensor, " b"],
        mirrored: Tensor | None = None,
    ) -> Float[Tensor, "b 3 s s"]:
        """Normalised canvases, channels last in memory.

        Args:
            images: index of the tile on each canvas; on any device.
            locations: location of the tile on each canvas, 0 to ``config.locations - 1``; on any
                device.
            mirrored: whether to flip each tile left to right; None: none is flipped.
        """
        tiles = self._pixels[images.to(self.device)]
        if mirrored is not None:
            flipped = mirrored.to(self.device)[:, None, None, None]
            tiles = torch.where(flipped, tiles.flip(2), tiles)
        height, width = tiles.shape[1:3]
        grid, size = self.config.grid, self.config.location_size
        canvases = self._blank.expand(len(tiles), -1, -1, -1).clone()
        blocks = canvases.view(-1, grid, size, grid, size, 3)
        locations = locations.to(self.device)
        blocks[
            torch.arange(len(tiles), device=self.device),
            locations // grid,
            self._top : self._top + height,
            locations % grid,
            self._left : self._left + width,
        ] = self._normalised(tiles)
        return canvases.permute(0, 3, 1, 2)


def _colour(colour: str | Colour, mean: Float[Tensor, "3"]) -> Float[Tensor, "3"]:
    """Red, green and blue in [0, 1], before normalising."""
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
