"""How many pixels a call pads, worked out from its arguments."""

from collections.abc import Sequence
from typing import NamedTuple

Size = int | list[int] | tuple[int, ...]
Edges = tuple[int, int, int, int]
"""Pixels at the left, right, top and bottom, as ``torch.nn.functional.pad`` takes them."""


class PaddedCall(NamedTuple):
    """A call that pads.

    Attributes:
        layer: name of the layer whose ``forward`` calls; empty: the network itself.
        function: name of the function that is called.
        edges: pixels at the left, right, top and bottom, as the network asks for them.
    """

    layer: str
    function: str
    edges: Edges


def conv_edges(kernel: Sequence[int], padding: Size | str, dilation: Size) -> Edges:
    """Of a convolution.

    Args:
        kernel: height and width of the window.
        padding: as ``torch.conv2d`` takes it: pixels, ``same`` or ``valid``.
        dilation: pixels between the window's taps.
    """
    if padding == "valid":
        return 0, 0, 0, 0
    if isinstance(padding, str):
        added = [step * (side - 1) for side, step in zip(kernel, pair(dilation), strict=True)]
        return added[1] // 2, added[1] - added[1] // 2, added[0] // 2, added[0] - added[0] // 2
    rows, columns = pair(padding)
    return columns, columns, rows, rows


def pool_edges(
    sides: Sequence[int], kernel: Size, stride: Size | None, padding: Size, dilation: Size,
    ceil_mode: bool,
) -> Edges:  # fmt: skip
    """Of a pooling layer; what ``ceil_mode`` lets overhang at the right and bottom counts too.

    Args:
        sides: height and width of the maps in pixels.
        kernel: height and width of the window.
        stride: of the window; None: its size.
        padding: pixels per side.
        dilation: pixels between the window's taps.
        ceil_mode: whether the last window may stand out.
    """
    windows = [
        step * (side - 1) + 1 for side, step in zip(pair(kernel), pair(dilation), strict=True)
    ]
    over = [
        overhang(*axis) if ceil_mode else 0
        for axis in zip(sides, windows, pair(stride or kernel), pair(padding), strict=True)
    ]
    rows, columns = pair(padding)
    return columns, columns + over[1], rows, rows + over[0]


def overhang(side: int, window: int, stride: int, padding: int) -> int:
    """Pixels by which the last window of a pooling layer with ``ceil_mode`` stands out.

    Args:
        side: of the maps, in pixels, along one axis.
        window: from its first to its last pixel.
        stride: of the window.
        padding: pixels per side.
    """
    last = -(-(side + 2 * padding - window) // stride) * stride  # where the last window starts
    if last >= side + padding:  # PyTorch drops a window that starts beyond the map
        last -= stride
    return max(0, last + window - side - 2 * padding)


def pair(value: Size) -> tuple[int, int]:
    """The numbers of rows and columns."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return (values[0], values[-1])
