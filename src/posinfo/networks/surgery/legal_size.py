"""The smallest image that a network takes, found by dry runs on shapes alone."""

from collections.abc import Callable
from typing import TypeVar

from posinfo.networks.surgery.padding_mode import MapTooSmallError

T = TypeVar("T")

LARGEST_IMAGE = 4096  # px; beyond it no size is proposed, nor taken by a setting
# what PyTorch raises for a map that is used up, and padding for one that it outgrows
TOO_SMALL = (RuntimeError, AssertionError, MapTooSmallError)


def require_legal(dry_run: Callable[[int], T], size: int, network: str, setting: str) -> T:
    """The result of a dry run, once it is known that the network takes images of this size.

    Args:
        dry_run: runs the network on images of a side in pixels; raises one of ``TOO_SMALL`` where
            they are too small.
        size: side of the images in pixels.
        network: name of the network, for the message.
        setting: name of the setting that holds the size, for the message.

    Raises:
        ValueError: the images are too small; the message proposes the smallest legal size.
    """
    try:
        return dry_run(size)
    except TOO_SMALL as error:
        larger = next((other for other in _doubled(size) if _legal(dry_run, other)), None)
        if larger is None:
            raise ValueError(
                f"{network} cannot take images of {size} px, nor larger ones: {error}"
            ) from error
        raise ValueError(
            f"images of {size} px are too small for {network}: "
            f"the smallest {setting} is {_smallest(dry_run, larger // 2, larger)} px"
        ) from error


def _legal(dry_run: Callable[[int], object], size: int) -> bool:
    try:
        dry_run(size)
    except TOO_SMALL:
        return False
    return True


def _doubled(size: int) -> list[int]:
    sizes = []
    while (size := 2 * size) <= LARGEST_IMAGE:
        sizes.append(size)
    return sizes


def _smallest(dry_run: Callable[[int], object], illegal_size: int, legal_size: int) -> int:
    while legal_size - illegal_size > 1:
        middle = (illegal_size + legal_size) // 2
        if _legal(dry_run, middle):
            legal_size = middle
        else:
            illegal_size = middle
    return legal_size
