"""Random crops for training and all shifts for measuring, as batched index operations."""

from collections.abc import Callable, Mapping
from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from pydantic import Field, field_validator
from torch import Tensor
from torch.nn.functional import interpolate, pad

from posinfo.choices import Section, one_of, pick
from posinfo.stimuli.device_images import DeviceImages
from posinfo.stimuli.labelled_images import SIDE
from posinfo.work import Work

ShiftPaddingName = Annotated[str, one_of("shift padding", lambda: SHIFT_PADDINGS)]


class ShiftConfig(Section):
    """By how much images are shifted, and what lies outside of them.

    Attributes:
        max_shift: offsets run from 0 to this number of pixels on each axis; half of it is the
            image as it is, but for ``crop``.
        padding: a key of ``SHIFT_PADDINGS``.
    """

    max_shift: int = Field(ge=0)
    padding: ShiftPaddingName

    @field_validator("max_shift")
    @classmethod
    def _inside_the_image(cls, max_shift: int) -> int:
        if max_shift >= SIDE:
            raise ValueError(
                f"max_shift must be less than the side of the images, {SIDE} px; got {max_shift}"
            )
        return max_shift

    @property
    def name(self) -> str:
        """Of the range: ``zero-8``."""
        return f"{self.padding}-{self.max_shift}"


class Crops(DeviceImages):
    """Windows of padded images on one device.

    Args:
        pixels: the images, RGB values 0..255.
        max_shift: the largest offset in pixels: windows start at 0 to ``max_shift`` on each axis of
            the padded image. The window at half of it is the unshifted image, unless the padding
            is ``crop``.
        padding: a key of ``SHIFT_PADDINGS``: what lies outside of the images.
        mean: subtracted from each channel, in units of [0, 1].
        std: each channel is divided by it, in units of [0, 1].
        device: holds the images and the windows.
        dtype: floating-point type of the windows.

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
        dtype: torch.dtype = torch.float32,
    ) -> None:
        height, width = pixels.shape[2:]
        if not 0 <= max_shift < min(height, width):
            raise ValueError(
                f"max_shift must be at least 0 and less than the side of the images, "
                f"{min(height, width)} px; got {max_shift}"
            )
        padded = pick("shift padding", padding, SHIFT_PADDINGS)(pixels, max_shift)
        super().__init__(padded, mean, std, device=device, dtype=dtype)
        self.offsets = max_shift + 1
        self._rows = torch.arange(height, device=device)
        self._columns = torch.arange(width, device=device)

    @classmethod
    def of(
        cls, images: Mapping[str, Tensor], split: str, shift: ShiftConfig, work: Work
    ) -> "tuple[Crops, Int64[Tensor, ' n']]":
        """The images of a split, padded for shifts, and their labels.

        Args:
            images: of ``load_labelled_images``.
            split: one of ``SPLITS``.
            shift: the largest offset and the padding.
            work: its device holds the images, its dtype is that of the windows.
        """
        crops = cls(
            images[f"{split}.pixels"],
            shift.max_shift,
            shift.padding,
            images["mean"],
            images["std"],
            device=work.device,
            dtype=work.dtype,
        )
        return crops, images[f"{split}.labels"]

    def batch(
        self,
        images: Int64[Tensor, " b"],
        offsets: Int64[Tensor, "b 2"],
        mirrored: Bool[Tensor, " b"] | None = None,
    ) -> Float[Tensor, "b 3 h w"]:
        """Normalised windows, channels last in memory.

        Args:
            images: index of the image of each window; on any device.
            offsets: row and column in pixels at which each window starts, 0 to ``max_shift``.
            mirrored: whether to flip each window left to right; None: none is flipped.
        """
        offsets = offsets.to(self.device)
        rows = offsets[:, :1] + self._rows
        columns = offsets[:, 1:] + self._columns
        if mirrored is not None:
            columns = torch.where(mirrored.to(self.device)[:, None], columns.flip(1), columns)
        chosen = images.to(self.device)[:, None, None]
        windows = self._pixels[chosen, rows[:, :, None], columns[:, None, :]]
        return self._normalised(windows).permute(0, 3, 1, 2)


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

UNSHIFTED = ShiftConfig(max_shift=0, padding="zero")
