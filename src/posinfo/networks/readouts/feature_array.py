"""Some of the blocks and images of cached features, read from disk without the others."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int


class FeatureArray:
    """Cached features with a choice of their blocks and of their images.

    Args:
        features: features of all blocks, usually memory-mapped, shape (n, s, s, c).
        channels: number of channels of each block by name, in the order of their concatenation.
        blocks: names of the blocks to read; empty: all.
        images: indices of the images to read, in their order; None: all.

    Raises:
        ValueError: an unknown block.
    """

    def __init__(
        self,
        features: Float[np.ndarray, "n s s c"],
        channels: Mapping[str, int] | None = None,
        blocks: Sequence[str] = (),
        images: Int[np.ndarray, " m"] | None = None,
    ) -> None:
        self._features = features
        self._images = images
        self._slices = [slice(None)]
        width = features.shape[3]
        if blocks:
            ranges = block_ranges(channels or {}, blocks)
            self._slices = [slice(start, stop) for start, stop in ranges]
            width = sum(stop - start for start, stop in ranges)
        count = len(features) if images is None else len(images)
        self.shape = (count, *features.shape[1:3], width)

    def __len__(self) -> int:
        """The number of images."""
        return self.shape[0]

    def __getitem__(self, images: np.ndarray | slice) -> Float[np.ndarray, "b s s c"]:
        """Features of some images, in memory."""
        images = images if self._images is None else self._images[images]
        parts = [self._features[..., part][images] for part in self._slices]
        if len(parts) > 1:
            return np.concatenate(parts, axis=3)
        return np.array(parts[0]) if isinstance(images, slice) else parts[0]  # a copy by now


def block_ranges(channels: Mapping[str, int], blocks: Sequence[str]) -> list[tuple[int, int]]:
    """First and last channel (exclusive) of each named block.

    Args:
        channels: number of channels of each block by name, in the order of their concatenation.
        blocks: names of the blocks.

    Raises:
        ValueError: an unknown block.
    """
    ends = dict(zip(channels, np.cumsum(list(channels.values())).tolist(), strict=True))
    for block in blocks:
        if block not in ends:
            raise ValueError(f"blocks must be among {', '.join(ends)}; got {block!r}")
    return [(ends[block] - channels[block], ends[block]) for block in blocks]
