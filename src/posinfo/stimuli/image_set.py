"""A set of images of one size, wherever its pixels are kept."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor


@dataclass(frozen=True)
class ImageSet:
    """Images that a network can look at.

    Attributes:
        pixels: RGB values 0..255, shape (n, 3, h, w); may be a memory-mapped file.
        key: changes whenever the pixels do.
    """

    pixels: UInt8[np.ndarray, "n 3 h w"]
    key: str

    def __len__(self) -> int:
        """The number of images."""
        return len(self.pixels)

    def batch(self, start: int, size: int) -> UInt8[Tensor, "b 3 h w"]:
        """A copy of ``size`` images (fewer at the end) from index ``start`` on."""
        return torch.from_numpy(np.array(self.pixels[start : start + size]))

    @classmethod
    def of(cls, pixels: UInt8[Tensor, "n 3 h w"]) -> "ImageSet":
        """The set of images that a tensor holds, keyed by its values."""
        array = np.ascontiguousarray(pixels.cpu().numpy())
        return cls(array, f"{hashlib.sha256(array.data).hexdigest()[:16]}-{len(array)}")
