"""What a network pads at one size of image, and whether it uses both sides of it alike.

A strided window seldom ends where the padding does: what is left over at the right and at the
bottom is never read, so that there the network sees less padding than at the left and at the top,
or none, or even less than the image. Which sizes this happens at follows from the arguments alone
(Alsallakh et al., "Mind the Pad", ICLR 2021, section 3).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from posinfo.networks.surgery.branches import name_of
from posinfo.networks.surgery.observed import REFUSALS
from posinfo.networks.surgery.padding_edges import Edges, Size, conv_edges, pair, pool_edges
from posinfo.networks.surgery.running_layer import RunningLayer
from posinfo.work import silent

NOWHERE: Edges = (0, 0, 0, 0)
LEAST = "-inf"  # what a max-pool pads with, which is never the maximum


class PaddedLayer(NamedTuple):
    """A call whose windows stand out of its map.

    Attributes:
        layer: name of the layer whose ``forward`` calls; empty: the network itself.
        function: name of PyTorch's function.
        mode: what stands at the edges: ``zero``, ``-inf``, or another mode of
            ``torch.nn.functional.pad``.
        sides: height and width of the map without padding, in pixels of the map.
        window: height and width of the window, from its first to its last pixel.
        stride: of the window, along rows and columns.
        edges: padding at the left, right, top and bottom, in pixels.
        used: what of it a window reads; below 0: so many pixels of the map are read by none.
    """

    layer: str
    function: str
    mode: str
    sides: tuple[int, int]
    window: tuple[int, int]
    stride: tuple[int, int]
    edges: Edges
    used: Edges

    @property
    def even(self) -> bool:
        """Whether as much padding is used at the left as at the right, and at top and bottom."""
        left, right, top, bottom = self.used
        return left == right and top == bottom


class PaddedLayers(TorchFunctionMode):
    """Within the block, notes every convolution, pooling and ``pad`` that pads.

    Padding of ``torch.nn.functional.pad`` belongs to the window that reads it first, as that of
    TensorFlow's "same"; where none does, it stands for itself. Transposed convolutions and other
    functions that pad are not seen.

    Args:
        network: the network that will be called; its layers are named.
        on_found: is told of each padded call before it is made; what it raises stops the network.

    Attributes:
        found: what was padded so far, in order.
    """

    def __init__(
        self, network: nn.Module, on_found: Callable[[PaddedLayer], object] = silent
    ) -> None:
        super().__init__()
        self.found: list[PaddedLayer] = []
        self._on_found = on_found
        self._layer = RunningLayer(network)
        self._beforehand = WeakTensorKeyDictionary()  # edges and mode of maps that pad() has made

    def __enter__(self) -> "PaddedLayers":
        """Follow which layer is running."""
        self._layer.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        """Follow it no more."""
        super().__exit__(*error)
        self._layer.__exit__(*error)

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """PyTorch calls it in place of each of its functions."""
        kwargs = kwargs or {}
        if func in READERS:
            READERS[func](self, name_of(func), *args, **kwargs)
        result = func(*args, **kwargs)
        if func is functional.pad:
            self._pad(result, *args, **kwargs)
        return result

    def conv2d(
        self, function: str, input: Tensor, weight: Tensor, bias: Tensor | None = None,
        stride: Size = 1, padding: Size | str = 0, dilation: Size = 1, groups: int = 1,
    ) -> None:  # fmt: skip
        """The arguments are those of ``torch.conv2d``."""
        edges = conv_edges(weight.shape[2:], padding, dilation)
        self._note(function, input, weight.shape[2:], dilation, stride, edges)

    def max_pool2d(
        self, function: str, input: Tensor, kernel_size: Size, stride: Size | None = None,
        padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False, *more: Any, **rest: Any,
    ) -> None:  # fmt: skip
        """The arguments are those of ``torch.nn.functional.max_pool2d``."""
        sides = input.shape[-2:]
        edges = pool_edges(sides, kernel_size, stride, padding, dilation, ceil_mode)
        self._note(function, input, kernel_size, dilation, stride or kernel_size, edges)

    def avg_pool2d(
        self, function: str, input: Tensor, kernel_size: Size, stride: Size | None = None,
        padding: Size = 0, ceil_mode: bool = False, *more: Any, **rest: Any,
    ) -> None:  # fmt: skip
        """The arguments are those of ``torch.nn.functional.avg_pool2d``."""
        edges = pool_edges(input.shape[-2:], kernel_size, stride, padding, 1, ceil_mode)
        self._note(function, input, kernel_size, 1, stride or kernel_size, edges)

    def _pad(
        self, padded: Tensor, input: Tensor, pad: Sequence[int], mode: str = "constant",
        value: float | int | None = None,
    ) -> None:  # fmt: skip
        left, right, top, bottom = [*pad, 0, 0][:4]
        if input.ndim == 4 and not any(pad[4:]) and min(left, right, top, bottom) >= 0:
            shown = "zero" if mode == "constant" and value in (None, 0) else mode
            edges = (left, right, top, bottom)
            if any(edges):
                size = (int(input.shape[2]), int(input.shape[3]))
                alone = self._layer.name, "pad", shown, size, (1, 1), (1, 1), edges, edges
                self.found.append(PaddedLayer(*alone))
                self._beforehand[padded] = (edges, shown, self.found[-1])

    def _note(
        self, function: str, input: Tensor, kernel: Size, dilation: Size, stride: Size,
        edges: Edges,
    ) -> None:  # fmt: skip
        before, mode, alone = self._beforehand.get(input) or (NOWHERE, "zero", None)
        if alone is not None and alone in self.found:  # it belongs to this window
            self.found.remove(alone)
        if "max_pool" in function:
            mode = LEAST
        left, right, top, bottom = (one + other for one, other in zip(before, edges, strict=True))
        if not any((left, right, top, bottom)):
            return
        height, width = input.shape[-2:]
        sides = height - before[2] - before[3], width - before[0] - before[1]
        window = tuple(
            step * (side - 1) + 1 for side, step in zip(pair(kernel), pair(dilation), strict=True)
        )
        steps = pair(stride)
        unread = [
            (side + first + last - whole) % step
            for side, first, last, whole, step in zip(
                sides, (top, left), (bottom, right), window, steps, strict=True
            )
        ]
        used = left, right - unread[1], top, bottom - unread[0]
        about = self._layer.name, function, mode, sides, window, steps
        call = PaddedLayer(*about, (left, right, top, bottom), used)  # type: ignore[arg-type]
        self.found.append(call)
        self._on_found(call)


READERS: dict[Callable, Callable] = {
    torch.conv2d: PaddedLayers.conv2d,
    torch.max_pool2d: PaddedLayers.max_pool2d,
    functional.max_pool2d: PaddedLayers.max_pool2d,
    functional.max_pool2d_with_indices: PaddedLayers.max_pool2d,
    functional.avg_pool2d: PaddedLayers.avg_pool2d,
}


def padded_layers(network: nn.Module, images: Tensor) -> list[PaddedLayer]:
    """The padded calls of one forward pass, in order.

    Args:
        network: in evaluation mode.
        images: for it, (n, c, h, w); on the meta device nothing but shapes is computed.
    """
    with torch.inference_mode(), PaddedLayers(network) as trace:
        network(images)
    return trace.found


def even_sizes(
    network: nn.Module, images: Callable[[int], Tensor], size: int, farthest: int, count: int = 2
) -> list[int]:
    """The nearest sizes of square images at which a network uses its padding evenly.

    Args:
        network: in evaluation mode.
        images: makes an image for it of a side in pixels.
        size: from which the search starts; it may be among the results.
        farthest: the largest distance that is looked at, in pixels.
        count: how many are looked for.

    Returns:
        Sides in pixels, the nearest first, the larger of two first; those that the network cannot
        take are passed over.
    """
    found: list[int] = []
    near = [size, *(side for step in range(1, farthest + 1) for side in (size + step, size - step))]
    for side in near:
        if len(found) == count:
            break
        if side > 0 and _is_even(network, images, side):
            found.append(side)
    return found


class _UnevenError(Exception):
    """One uneven call is enough."""


def _is_even(network: nn.Module, images: Callable[[int], Tensor], side: int) -> bool:
    def refuse_uneven(call: PaddedLayer) -> None:
        if not call.even:
            raise _UnevenError

    try:
        with torch.inference_mode(), PaddedLayers(network, refuse_uneven) as trace:
            network(images(side))
    except (_UnevenError, *REFUSALS):
        return False
    return all(call.even for call in trace.found)
