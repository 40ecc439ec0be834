"""Images that lie on one device as bytes and are normalised when a batch is made of them."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor


class DeviceImages:
    """8-bit images on one device, channels last.

    Args:
        pixels: RGB values 0..255.
        mean: subtracted from each channel, in units of [0, 1].
        std: each channel is divided by it, in units of [0, 1].
        device: holds the images and computes the batches.
        dtype: floating-point type of the batches.
    """

    def __init__(
        self,
        pixels: UInt8[Tensor, "n 3 h w"],
        mean: Float[Tensor, "3"],
        std: Float[Tensor, "3"],
        *,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.device, self.dtype = device, dtype
        self._pixels = pixels.permute(0, 2, 3, 1).contiguous().to(device)
        self._scale = (1 / (255 * std)).to(device)
        self._offset = (mean / std).to(device)

    def __len__(self) -> int:
        """The number of images."""
        return len(self._pixels)

    def colours_of(self, batch: Float[Tensor, "b 3 h w"]) -> UInt8[Tensor, "b 3 h w"]:
        """RGB values 0..255 of a normalised batch."""
        scale, offset = (each[:, None, None] for each in (self._scale, self._offset))
        return ((batch + offset) / scale).round().clamp(0, 255).byte()

    def _normalised(self, pixels: UInt8[Tensor, "b h w 3"]) -> Float[Tensor, "b h w 3"]:
        return (pixels * self._scale - self._offset).to(self.dtype)
