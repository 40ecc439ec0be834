"""Whether readouts fit the features that they are to read, before any feature is computed."""

from collections.abc import Mapping, Sequence

from posinfo.networks.readouts.config import ReadoutConfig
from posinfo.networks.readouts.feature_array import block_ranges
from posinfo.networks.readouts.ridge import require_memory


def check_readouts(
    config: ReadoutConfig,
    channels: Mapping[str, int],
    blocks: Sequence[str],
    *,
    feature_size: int,
    images: int,
    seeds: Sequence[int],
) -> None:
    """Refuse readouts that cannot be fitted.

    Args:
        config: the head and its fit.
        channels: of each block of the features by name.
        blocks: names of the blocks that are read; empty: all.
        feature_size: side in pixels of the features.
        images: to train on.
        seeds: of the readouts.

    Raises:
        ValueError: what cannot be, and what to change.
    """
    config.grid(feature_size)
    ranges = block_ranges(channels, tuple(blocks) or tuple(channels))
    if config.head != "ridge":
        config.total_steps(images)
        return
    if len(seeds) > 1:
        raise ValueError(
            f"head 'ridge' is solved, not trained from a seed: give it one seed; got {tuple(seeds)}"
        )
    require_memory(sum(stop - start for start, stop in ranges), config)
