"""Changes padding where PyTorch's functions are called, whatever network calls them."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from math import inf
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from posinfo.networks.branches import MEETING, crop_branches, maps_among, name_of
from posinfo.networks.padding_edges import Edges, Size, conv_edges, pair, pool_edges

MODES = ("reflect", "replicate", "circular")  # of torch.nn.functional.pad


class MapTooSmallError(ValueError):
    """A map is smaller than what it is to be padded by."""


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


class PaddingMode(TorchFunctionMode):
    """Within the block, PyTorch's functions pad in another way.

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
        self._names = {module: name for name, module in network.named_modules()}
        self._running = [""]
        self._used_up = False  # none: a map has shrunk to a pixel, which is no mean to be spread
        self._masks = WeakTensorKeyDictionary()  # partial: of maps that were padded beforehand
        self._hooks = ExitStack()

    def __enter__(self) -> "PaddingMode":
        """Follow which layer is running, and change its calls."""
        before = register_module_forward_pre_hook(self._enter_layer)
        after = register_module_forward_hook(self._leave_layer, always_call=True)
        self._hooks.callback(before.remove)
        self._hooks.callback(after.remove)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        """Back to PyTorch's own."""
        self._hooks.close()
        super().__exit__(*error)

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """PyTorch calls it in place of each of its functions."""
        kwargs = kwargs or {}
        if func in HANDLERS and self._covers(self._running[-1]):
            return HANDLERS[func](self, *args, **kwargs)
        if self.kind == "none" and func not in HANDLERS:
            return self._of_branches(func, args, kwargs)
        result = func(*args, **kwargs)
        if isinstance(result, Tensor) and any(m in self._masks for m in maps_among(args, kwargs)):
            raise ValueError(self._refusal("a padded map meets no convolution but", func))
        return result

    def _of_branches(self, func: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        """A function of maps that without padding may have several sizes."""
        if name_of(func) in MEETING:
            if self._used_up and len({min(m.shape[2:]) == 1 for m in maps_among(args, kwargs)}) > 1:
                raise MapTooSmallError(self._refusal("a branch is used up before", func))
            args, kwargs = crop_branches(func, args, kwargs)
        try:
            return func(*args, **kwargs)
        except RuntimeError as error:
            sizes = sorted({tuple(m.shape[2:]) for m in maps_among(args, kwargs)})
            if len(sizes) < 2:
                raise
            about = f"maps of {' and '.join(f'{h}x{w} px' for h, w in sizes)} meet in"
            raise ValueError(self._refusal(about, func)) from error

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
            input, padding = self._extended(torch.conv2d, input, edges), 0
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
        overlap = max(weight.shape[2:]) > min(pair(stride))
        more = max(*pair(padding), *pair(output_padding), transposed and overlap)
        self._refuse_if(more, torch.convolution)
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
        if any(edges) and self.kind not in ("zero", "partial"):  # padding is never the maximum
            self._refuse_if(return_indices, functional.max_pool2d_with_indices)
            input = self._extended(functional.max_pool2d, input, edges)
            padding, ceil_mode = 0, False
        settings = (kernel_size, stride, padding, dilation, ceil_mode, return_indices)
        return functional.max_pool2d(input, *settings)  # type: ignore[call-overload]

    def avg_pool2d(
        self, input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0,
        ceil_mode: bool = False, count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Tensor:  # fmt: skip
        """The arguments are those of ``torch.nn.functional.avg_pool2d``."""
        edges = pool_edges(input.shape[-2:], kernel_size, stride, padding, 1, ceil_mode)
        self._note(functional.avg_pool2d, edges)
        if any(edges) and self.kind not in ("zero", "partial"):
            input = self._extended(functional.avg_pool2d, input, edges)
            padding, ceil_mode = 0, False
        rest = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
        pooled = functional.avg_pool2d(input, *rest)
        if self.kind == "partial" and (any(edges) or input in self._masks):
            pooled = pooled * _share(1, functional.avg_pool2d(self._mask(input), *rest)).to(pooled)
        return pooled

    def pad(
        self, input: Tensor, pad: Sequence[int], mode: str = "constant",
        value: float | int | None = None,
    ) -> Tensor:  # fmt: skip
        """The arguments are those of ``torch.nn.functional.pad``."""
        left, right, top, bottom = [*pad, 0, 0][:4]
        edges = (max(0, left), max(0, right), max(0, top), max(0, bottom))
        as_asked = self.kind == "zero" and mode == "constant" and value in (None, 0, -inf)
        if not any(edges) or as_asked:
            return functional.pad(input, pad, mode, value)
        if input.ndim != 4 or any(pad[4:]):
            raise ValueError(
                self._refusal("rows and columns are not all that is padded by", functional.pad)
            )
        kept = functional.pad(input, [min(0, left), min(0, right), min(0, top), min(0, bottom)])
        self._note(functional.pad, edges)
        if self.kind == "partial" and value == -inf:  # before a max-pool
            return functional.pad(kept, edges, value=value)
        padded = self._extended(functional.pad, kept, edges)
        if self.kind == "partial":
            self._masks[padded] = functional.pad(self._mask(kept), edges)
        return padded

    def refuse_padding(self, func: Callable, position: int, args: tuple, kwargs: dict) -> Any:
        """Call a function, but not if it pads: its argument ``padding`` stands at this position."""
        padding = kwargs.get("padding", args[position] if len(args) > position else 0)
        sides = (padding,) if isinstance(padding, int | str) else padding
        pads = any(side not in (0, "valid") for side in sides)
        self._refuse_if(pads, func)
        return func(*args, **kwargs)

    def transposed(
        self, func: Callable, input: Tensor, weight: Tensor, bias: Tensor | None = None,
        stride: Size = 1, padding: Size = 0, output_padding: Size = 0, *rest: Any, **kwargs: Any,
    ) -> Tensor:  # fmt: skip
        """A transposed convolution has a border unless its windows stand side by side."""
        overlap = max(weight.shape[2:]) > min(pair(stride))
        self._refuse_if(max(*pair(padding), *pair(output_padding), overlap), func)
        return func(input, weight, bias, stride, padding, output_padding, *rest, **kwargs)

    def _extended(self, func: Callable, maps: Tensor, edges: Edges) -> Tensor:
        """Maps with what now stands at their edges; without padding, the maps themselves."""
        if self.kind not in MODES:
            return maps if self.kind == "none" else functional.pad(maps, edges)
        height, width = maps.shape[-2:]
        spare = {"reflect": 1, "circular": 0}.get(self.kind, -inf)  # a reflection omits the border
        if max(edges[:2]) + spare > width or max(edges[2:]) + spare > height:
            about = f"maps of {height}x{width} px are too small for {max(edges)} px of padding in"
            raise MapTooSmallError(self._refusal(about, func))
        return functional.pad(maps, edges, self.kind)

    def _mask(self, maps: Tensor) -> Tensor:
        """1 where maps have values of their own, 0 where they were padded (1, 1, h, w)."""
        ones = torch.ones(1, 1, *maps.shape[-2:], device=maps.device)
        mask = self._masks.get(maps)
        return ones if mask is None else mask

    def _note(self, func: Callable, edges: Edges) -> Edges:
        if any(edges):
            self.calls.append(PaddedCall(self._running[-1], name_of(func), edges))
        return edges

    def _refuse_if(self, pads: object, func: Callable) -> None:
        if pads and self.kind != "zero":
            reason = self._refusal("there is no such padding for", func)
            raise ValueError(f"{reason}; name the layers that are to be changed")

    def _refusal(self, reason: str, func: Callable) -> str:
        layer = self._running[-1]
        where = f"layer {layer!r}" if layer else "the network's own forward"
        return f"padding {self.kind!r}: {reason} {name_of(func)} in {where}"

    def _covers(self, layer: str) -> bool:
        names = self.layers
        return not names or any(layer == n or layer.startswith(f"{n}.") for n in names)

    def _enter_layer(self, module: nn.Module, inputs: Any) -> None:
        if module in self._names:
            self._running.append(self._names[module])

    def _leave_layer(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if module in self._names:
            self._running.pop()


def _share(whole: Tensor | int, inside: Tensor) -> Tensor:
    return torch.where(inside > 0, whole / inside, 0)


def _refuses(func: Callable, position: int) -> Callable:
    return lambda mode, *args, **kwargs: mode.refuse_padding(func, position, args, kwargs)


def _transposed(func: Callable) -> Callable:
    return lambda mode, *args, **kwargs: mode.transposed(func, *args, **kwargs)


HANDLERS: dict[Callable, Callable] = {
    torch.conv2d: PaddingMode.conv2d,
    torch.convolution: PaddingMode.convolution,
    torch.max_pool2d: PaddingMode.max_pool2d,
    functional.max_pool2d: PaddingMode.max_pool2d,
    functional.max_pool2d_with_indices: PaddingMode.max_pool2d,
    functional.avg_pool2d: PaddingMode.avg_pool2d,
    functional.pad: PaddingMode.pad,
    torch.constant_pad_nd: lambda mode, input, pad, value=0: mode.pad(input, pad, value=value),
    **{f: _refuses(f, 4) for f in (torch.conv1d, torch.conv3d, functional.fold)},
    **{
        f: _refuses(f, 3)
        for f in (
            functional.unfold, torch.max_pool1d, functional.max_pool1d, torch.avg_pool1d,
            torch.max_pool3d, functional.max_pool3d, functional.avg_pool3d,
            functional.max_pool1d_with_indices, functional.max_pool3d_with_indices,
        )
    },
    **{
        f: _transposed(f)
        for f in (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d)
    },
}  # fmt: skip
