"""Changes padding where PyTorch's functions are called, whatever network calls them."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from math import inf, prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from posinfo.networks.surgery.branches import (
    MEETING,
    crop_branches,
    is_in_place,
    maps_among,
    name_of,
)
from posinfo.networks.surgery.layer_names import is_within
from posinfo.networks.surgery.padding_edges import (
    Edges,
    PaddedCall,
    Size,
    conv_edges,
    pair,
    pool_edges,
)
from posinfo.networks.surgery.padding_guard import PaddingGuard
from posinfo.networks.surgery.running_layer import RunningLayer

MODES = ("reflect", "replicate", "circular")  # of torch.nn.functional.pad


class MapTooSmallError(ValueError):
    """A map is smaller than what it is to be padded by."""


class PaddingMode(TorchFunctionMode):
    """Within the block, and in this thread, PyTorch's functions pad in another way.

    Padding that none of the changed functions shows is refused: a ``PaddingGuard`` finds it.

    Args:
        kind: one of ``PADDINGS`` but for ``as_built``.
        network: the network that will be called; its layers are named in messages.
        layers: names of the layers that are changed, with all that is inside of them; empty: all.

    Attributes:
        calls: what was padded so far.

    Raises:
        ValueError: a function pads in a way that cannot be changed, or maps of several sizes meet
            where they cannot be cropped.
        MapTooSmallError: a map is smaller than what it is to be padded by.
    """

    def __init__(self, kind: str, network: nn.Module, layers: Sequence[str] = ()) -> None:
        super().__init__()
        self.kind, self.layers = kind, tuple(layers)
        self.calls: list[PaddedCall] = []
        self._layer = RunningLayer(network)
        self._called = ""  # the function that is running
        self._handled = False  # whether what it pads is changed here
        self._refused: ValueError | None = None
        self._used_up = False  # none: a map has shrunk to a pixel, which is no mean to be spread
        self._left = WeakTensorKeyDictionary()  # none: of whose middle alone the values changed
        self._masks = WeakTensorKeyDictionary()  # partial: of maps that were padded beforehand
        self._hooks = ExitStack()

    def __enter__(self) -> "PaddingMode":
        """Follow which layer is running, and change its calls."""
        self._hooks.enter_context(self._layer)
        if self.kind != "zero":
            self._hooks.enter_context(PaddingGuard(self._refuse_unseen))
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        """Back to PyTorch's own.

        Raises:
            ValueError: a refusal that TorchScript has made an error of its own from.
        """
        super().__exit__(*error)
        self._hooks.close()
        if self._refused is not None and error[1] is not self._refused:
            raise self._refused from None

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """PyTorch calls it in place of each of its functions."""
        kwargs = kwargs or {}
        self._called, self._handled = name_of(func), func in HANDLERS and self._covers_running()
        try:
            return self._changed(func, args, kwargs)
        finally:
            self._called, self._handled = "", False

    def _changed(self, func: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        maps = maps_among(args, kwargs)
        if self._left and any(m in self._left for m in maps):
            raise ValueError(self._refusal("a map whose middle alone was changed is read by"))
        if self._handled:
            return HANDLERS[func](self, *args, **kwargs)
        if self.kind == "none" and func not in HANDLERS:
            return self._of_branches(func, args, kwargs)
        result = func(*args, **kwargs)
        if isinstance(result, Tensor) and any(m in self._masks for m in maps):
            raise ValueError(self._refusal("a padded map meets no convolution but"))
        return result

    def _of_branches(self, func: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        """A function of maps that without padding may have several sizes."""
        maps = maps_among(args, kwargs)
        if name_of(func) in MEETING:
            if self._used_up and len({min(m.shape[2:]) == 1 for m in maps}) > 1:
                raise MapTooSmallError(self._refusal("a branch is used up before"))
            changed, (args, kwargs) = args[:1], crop_branches(func, args, kwargs)
            if is_in_place(func) and changed and args[0] is not changed[0]:
                self._left[changed[0]] = True
        try:
            return func(*args, **kwargs)
        except RuntimeError as error:
            sizes = sorted({tuple(m.shape[2:]) for m in maps})
            if len(sizes) < 2:
                raise
            about = f"maps of {' and '.join(f'{h}x{w} px' for h, w in sizes)} meet in"
            raise ValueError(self._refusal(about)) from error

    def conv2d(
        self, input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size = 1,
        padding: Size | str = 0, dilation: Size = 1, groups: int = 1,
    ) -> Tensor:  # fmt: skip
        """The arguments are those of ``torch.conv2d``."""
        edges = self._note(torch.conv2d, conv_edges(weight.shape[2:], padding, dilation))
        if self.kind == "partial" and (any(edges) or input in self._masks):
            # equation 1 of Liu et al. (ECCV 2018); as in the released code, 0 where all is padding
            inside = self._mask(input)
            window = torch.ones(1, 1, *weight.shape[2:], device=input.device)
            inside = torch.conv2d(inside, window, None, stride, padding, dilation)
            outputs = torch.conv2d(input, weight, None, stride, padding, dilation, groups)
            outputs = outputs * _share(window.sum(), inside).to(outputs.dtype)
            return outputs if bias is None else outputs + bias[:, None, None] * (inside > 0)
        if any(edges) and self.kind != "zero":
            input, padding = self._extended(input, edges), 0
        outputs = torch.conv2d(input, weight, bias, stride, padding, dilation, groups)
        self._used_up |= bool(self.calls) and min(outputs.shape[2:]) == 1 < min(input.shape[2:])
        return outputs

    def convolution(
        self, input: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, ...],
        padding: tuple[int, ...], dilation: tuple[int, ...], transposed: bool,
        output_padding: tuple[int, ...], groups: int,
    ) -> Tensor:  # fmt: skip
        """The arguments are those of ``torch.convolution``."""
        if not transposed and weight.ndim == 4:
            return self.conv2d(input, weight, bias, stride, padding, dilation, groups)
        self._handled = False
        return torch.convolution(
            input, weight, bias, stride, padding, dilation, transposed, output_padding, groups
        )

    def max_pool2d(
        self, input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0,
        dilation: Size = 1, ceil_mode: bool = False, return_indices: bool = False,
    ) -> Any:  # fmt: skip
        """The arguments are those of ``torch.nn.functional.max_pool2d``."""
        edges = pool_edges(input.shape[-2:], kernel_size, stride, padding, dilation, ceil_mode)
        self._note(functional.max_pool2d, edges)
        own = None if return_indices else self._masks.get(input)
        if own is not None:  # as for PyTorch's own padding of a max-pool, whose values never count
            input = input.masked_fill(own == 0, -inf)
        if any(edges) and self.kind not in ("zero", "partial"):  # padding is never the maximum
            if return_indices:  # they would count the pixels of another map: the guard refuses it
                self._handled = False
            else:
                input, padding, ceil_mode = self._extended(input, edges), 0, False
        settings = (kernel_size, stride, padding, dilation, ceil_mode, return_indices)
        pooled = functional.max_pool2d(input, *settings)  # type: ignore[call-overload]
        return pooled if own is None else pooled.masked_fill(pooled == -inf, 0)

    def avg_pool2d(
        self, input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0,
        ceil_mode: bool = False, count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Tensor:  # fmt: skip
        """The arguments are those of ``torch.nn.functional.avg_pool2d``."""
        edges = pool_edges(input.shape[-2:], kernel_size, stride, padding, 1, ceil_mode)
        self._note(functional.avg_pool2d, edges)
        if any(edges) and self.kind not in ("zero", "partial"):
            input = self._extended(input, edges)
            padding, ceil_mode = 0, False
        rest = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
        pooled = functional.avg_pool2d(input, *rest)
        if self.kind == "partial" and (any(edges) or input in self._masks):
            area = prod(pair(kernel_size))
            inside = functional.avg_pool2d(self._mask(input), *rest)
            pooled = pooled * _share(area / (divisor_override or area), inside).to(pooled)
        return pooled

    def pad(
        self, input: Tensor, pad: Sequence[int], mode: str = "constant",
        value: float | int | None = None,
    ) -> Tensor:  # fmt: skip
        """The arguments are those of ``torch.nn.functional.pad``."""
        left, right, top, bottom = [*pad, 0, 0][:4]
        edges = (max(0, left), max(0, right), max(0, top), max(0, bottom))
        as_asked = self.kind == "zero" and mode == "constant" and value in (None, 0, -inf)
        if as_asked or not any(pad) or not (any(edges) or input in self._masks):
            return functional.pad(input, pad, mode, value)
        if input.ndim != 4 or any(pad[4:]):
            raise ValueError(self._refusal("rows and columns are not all that is padded by"))
        cropped = [min(0, left), min(0, right), min(0, top), min(0, bottom)]
        kept = functional.pad(input, cropped)
        self._note(functional.pad, edges)
        if self.kind == "partial" and value == -inf and input not in self._masks:
            return functional.pad(kept, edges, value=value)  # before a max-pool
        padded = self._extended(kept, edges)
        if self.kind == "partial":
            self._masks[padded] = functional.pad(functional.pad(self._mask(input), cropped), edges)
        return padded

    def _extended(self, maps: Tensor, edges: Edges) -> Tensor:
        """Maps with what now stands at their edges; without padding, the maps themselves."""
        if self.kind not in MODES:
            return maps if self.kind == "none" else functional.pad(maps, edges)
        height, width = maps.shape[-2:]
        spare = {"reflect": 1, "circular": 0}.get(self.kind, -inf)  # a reflection omits the border
        if max(edges[:2]) + spare > width or max(edges[2:]) + spare > height:
            about = f"maps of {height}x{width} px are too small for {max(edges)} px of padding in"
            raise MapTooSmallError(self._refusal(about))
        return functional.pad(maps, edges, self.kind)

    def _mask(self, maps: Tensor) -> Tensor:
        """1 where maps have values of their own, 0 where they were padded (1, h, w)."""
        ones = torch.ones(1, *maps.shape[-2:], device=maps.device)
        mask = self._masks.get(maps)
        return ones if mask is None else mask

    def _note(self, func: Callable, edges: Edges) -> Edges:
        if any(edges):
            self.calls.append(PaddedCall(self._layer.name, name_of(func), edges))
        return edges

    def _refuse_unseen(self, operator: str) -> None:
        """Called before an operator that pads; only those that a handler calls may."""
        if self._handled or not self._covers_running():
            return
        reason = self._refusal("there is no such padding for", operator)
        self._refused = ValueError(f"{reason}; name the layers that are to be changed")
        raise self._refused

    def _refusal(self, reason: str, function: str = "") -> str:
        layer = self._layer.name
        where = f"layer {layer!r}" if layer else "the network's own forward"
        return f"padding {self.kind!r}: {reason} {self._called or function} in {where}"

    def _covers_running(self) -> bool:
        return not self.layers or is_within(self._layer.name, self.layers)


def _share(whole: Tensor | float, inside: Tensor) -> Tensor:
    return torch.where(inside > 0, whole / inside, 0)


HANDLERS: dict[Callable, Callable] = {
    torch.conv2d: PaddingMode.conv2d,
    torch.convolution: PaddingMode.convolution,
    torch.max_pool2d: PaddingMode.max_pool2d,
    functional.max_pool2d: PaddingMode.max_pool2d,
    functional.max_pool2d_with_indices: PaddingMode.max_pool2d,
    functional.avg_pool2d: PaddingMode.avg_pool2d,
    functional.pad: PaddingMode.pad,
    functional.local_response_norm: lambda mode, *args, **kwargs: functional.local_response_norm(
        *args, **kwargs
    ),  # which pads the row of channels
    torch.constant_pad_nd: lambda mode, input, pad, value=0: mode.pad(input, pad, value=value),
}
