"""Random crops for training and all shifts for measuring, as batched index operations."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torch.nn.functional import interpolate, pad

from posinfo.choices import pick


class Crops:
    """Windows of padded images on one device.

    Args:
        pixels: the images, RGB values 0..255.
        max_shift: the largest offset in pixels: windows start at 0 to ``max_shift`` on each axis of
            the padded image, and half of it is the image itself, but for ``crop``.
        padding: a key of ``SHIFT_PADDINGS``: what lies outside of the images.
        mean: of each channel in [0, 1], subtracted.
        std: of each channel in [0, 1], divided by.
        device: holds the images.
        precision: of the windows.

    Raises:
        ValueError: an unknown padding, or a shift larger than the image.
    """

    def __init__(
        self,
        pixels: UInt8[Tensor, "n 3 h w"],
        max_shift: int,
        padding: str,
        mean: Float[Tensor, "3"],
        std: Float[Tensor, "3"],
        *,
        device: torch.device,
        precision: torch.dtype = torch.float32,
    ) -> None:
        height, width = pixels.shape[2:]
        if not 0 <= max_shift < min(height, width):
            raise ValueError(
                f"max_shift must be at least 0 and less than the side of the images, "
                f"{min(height, width)} px; got {max_shift}"
            )
        padded = pick("shift padding", padding, SHIFT_PADDINGS)(pixels, max_shift)
        self.offsets = max_shift + 1
        self.device = device
        self._padded = padded.permute(0, 2, 3, 1).contiguous().to(device)
        self._scale = (1 / (255 * std)).to(device)
        self._offset = (mean / std).to(device)
        self._precision = precision
        self._rows = torch.arange(height, device=device)
        self._columns = torch.arange(width, device=device)

    def __len__(self) -> int:
        """The number of images."""
        return len(self._padded)

    def batch(
        self,
        images: Int64[Tensor, " b"],
        offsets: Int64[Tensor, "b 2"],
        mirrored: Bool[Tensor, " b"] | None = None,
    ) -> Float[Tensor, "b 3 h w"]:
        """Normalised windows, channels last in memory.

        Args:
            images: which images, on any device.
            offsets: row and column at which each window starts, 0 to ``max_shift``.
            mirrored: whether to flip each window left to right.
        """
        offsets = offsets.to(self.device)
        rows = offsets[:, :1] + self._rows
        columns = offsets[:, 1:] + self._columns
        if mirrored is not None:
            columns = torch.where(mirrored.to(self.device)[:, None], columns.flip(1), columns)
        chosen = images.to(self.device)[:, None, None]
        windows = self._padded[chosen, rows[:, :, None], columns[:, None, :]]
        return (windows * self._scale - self._offset).to(self._precision).permute(0, 3, 1, 2)


def _padded_by(mode: str) -> Callable[[Tensor, int], Tensor]:
    def padded(pixels: Tensor, max_shift: int) -> Tensor:
        before, after = max_shift // 2, max_shift - max_shift // 2
        edges = (before, after, before, after)
        return pad(pixels.float(), edges, mode=mode).byte()  # no kernel pads bytes by reflection

    return padded


def _enlarged(pixels: Tensor, max_shift: int) -> Tensor:
    more = max_shift + 1 if max_shift else 0
    size = (pixels.shape[2] + more, pixels.shape[3] + more)
    larger = interpolate(pixels.float(), size, mode="bilinear", antialias=False)
    return larger.round().byte()


SHIFT_PADDINGS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "zero": _padded_by("constant"),
    "reflect": _padded_by("reflect"),
    "circular": _padded_by("circular"),
    # resized by max_shift + 1 px: 36 px for offsets 0 to 3, as in FLC pooling; none is the image
    "crop": _enlarged,
}
