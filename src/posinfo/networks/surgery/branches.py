"""Branches of a network without padding, cropped to one size where they meet."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

JOINED = {"cat", "concat", "concatenate"}
MEETING = JOINED | {
    "stack", "add", "radd", "iadd", "sub", "rsub", "isub", "subtract", "mul", "rmul", "imul",
    "multiply", "div", "truediv", "rtruediv", "itruediv", "true_divide", "divide", "maximum",
    "minimum", "where", "lerp", "addcmul", "addcdiv", "copy",
}  # fmt: skip


def name_of(function: Callable) -> str:
    """The name of a function or method of PyTorch: ``add`` of ``add_`` and ``__add__``, too."""
    return getattr(function, "__name__", str(function)).strip("_")


def is_in_place(function: Callable) -> bool:
    """Whether a function of PyTorch writes into its first argument, as ``add_`` and ``+=`` do."""
    name = getattr(function, "__name__", str(function))
    dunder = name.startswith("__")
    return name.startswith("__i") if dunder else name.endswith("_")


def crop_branches(function: Callable, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict]:
    """The arguments of a function, with maps (n, c, h, w) of several sizes cropped to the least.

    They are cropped around their centres, one pixel more at the bottom and right where the
    difference is odd, and only where both sides exceed 1: a side of 1 px is spread over the others.

    Args:
        function: one of PyTorch's whose name is in ``MEETING``.
        args: its positional arguments.
        kwargs: its arguments by name.
    """
    maps = maps_among(args, kwargs)
    dim = kwargs.get("dim", kwargs.get("axis", args[1] if len(args) > 1 else 0))
    if len(maps) < 2 or (name_of(function) in JOINED and dim in (2, 3, -1, -2)):
        return args, kwargs
    height, width = (
        min((m.shape[axis] for m in maps if m.shape[axis] > 1), default=1) for axis in (2, 3)
    )

    def cropped(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(cropped(each) for each in value)
        return _centre(value, height, width) if _is_map(value) else value

    return cropped(args), {name: cropped(value) for name, value in kwargs.items()}


def maps_among(args: tuple, kwargs: dict[str, Any]) -> list[Tensor]:
    """All maps (n, c, h, w) among the arguments of a function, also those in lists."""
    values = [*args, *kwargs.values()]
    flat = [v for value in values for v in (value if isinstance(value, (list, tuple)) else [value])]
    return [value for value in flat if _is_map(value)]


def _is_map(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 4


def _centre(maps: Tensor, height: int, width: int) -> Tensor:
    for axis, side in ((2, height), (3, width)):
        if maps.shape[axis] > side:
            maps = maps.narrow(axis, (maps.shape[axis] - side) // 2, side)
    return maps
