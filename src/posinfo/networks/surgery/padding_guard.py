"""Finds padding below PyTorch's functions, in the operators that they end in."""

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from posinfo.networks.surgery.padding_edges import Size, overhang

PADS = ("padding", "pad", "pad_h", "pad_w", "output_padding")


class PaddingGuard(TorchDispatchMode):
    """Within the block, says when an operator is about to pad.

    PyTorch's functions, TorchScript and extensions end in operators. What an operator pads is read
    from its arguments by name, whichever it is. What has no such argument is not seen: zeros that a
    network concatenates or writes around its maps, indices that are clamped, ``roll``, Fourier
    transforms, ``grid_sample``, and quantised layers, whose padding is packed.

    Args:
        found: is called with an operator's name, as ``convolution``, before an operator that
            pads; what it raises stops the operator.
    """

    def __init__(self, found: Callable[[str], None]) -> None:
        super().__init__()
        self._found = found

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """PyTorch calls it in place of each of its operators."""
        kwargs = kwargs or {}
        name = func._schema.name.partition("::")[2].strip("_")
        if "backward" not in name and _pads(name, _settings(func, args, kwargs)):
            self._found(name)
        return func(*args, **kwargs)


def _settings(func: OpOverload, args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an operator by name, its defaults among them."""
    declared = func._schema.arguments
    defaults = {each.name: each.default_value for each in declared if each.has_default_value()}
    return (
        defaults | {each.name: value for each, value in zip(declared, args, strict=False)} | kwargs
    )


def _pads(name: str, settings: dict[str, Any]) -> bool:
    if any(_is_padding(settings.get(setting)) for setting in PADS):
        return True
    if name == "col2im":  # fold
        return _windows_overlap(settings["kernel_size"], settings)
    if settings.get("transposed") or "transpose" in name:
        weight = settings.get("weight")
        return isinstance(weight, Tensor) and _windows_overlap(weight.shape[2:], settings)
    return bool(settings.get("ceil_mode")) and _stands_out(settings)


def _is_padding(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_is_padding(each) for each in value)
    return value == "same" or (isinstance(value, int) and value > 0)


def _windows_overlap(kernel: Sequence[int], settings: dict[str, Any]) -> bool:
    """Whether fewer windows are added up at the border of a map than inside of it."""
    steps = zip(_per_axis(settings, "dilation"), _per_axis(settings, "stride"), strict=False)
    return any(
        dilation * (side - 1) + 1 > stride
        for side, (dilation, stride) in zip(kernel, steps, strict=False)
    )


def _stands_out(settings: dict[str, Any]) -> bool:
    """Whether the last window of a pooling layer stands out of its map."""
    kernel = settings["kernel_size"]
    maps = next(value for value in settings.values() if isinstance(value, Tensor))
    strides = _per_axis(settings, "stride") if settings.get("stride") else kernel
    sides, steps = maps.shape[-len(kernel) :], _per_axis(settings, "dilation")
    return any(
        overhang(side, step * (taps - 1) + 1, stride, 0)
        for side, taps, stride, step in zip(sides, kernel, strides, steps, strict=False)
    )


def _per_axis(settings: dict[str, Any], name: str) -> Any:
    value: Size = settings.get(name) or 1
    values = (value,) if isinstance(value, int) else tuple(value)
    return repeat(values[0]) if len(values) == 1 else values
