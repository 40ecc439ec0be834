"""Statistics that a network takes over whole maps, kept from one image and given to its tiles.

Instance and group norm, squeeze-and-excitation and global pooling average over all that they see. A
tile sees less than the image, so that tiles differ from it for that alone, whatever their overlap
and their padding (arXiv 2503.19545, for instance norm).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from posinfo.networks.surgery.branches import name_of
from posinfo.networks.surgery.padding_edges import Size, pair

ROWS_AND_COLUMNS = ({2, 3}, {-1, -2}, {2, -1}, {3, -2})


class ImageStatistics(TorchFunctionMode):
    """Within the block, averages over whole maps are kept, or those that were kept are used.

    Of ``group_norm``, ``instance_norm`` without running statistics, ``adaptive_avg_pool2d`` to one
    pixel, and ``mean`` over rows and columns. They are told apart by the order of their calls.

    Args:
        kept: of a pass over the whole images, in place of those of the tiles; None: keep them.

    Attributes:
        kept: a tensor, or mean and variance, of each call in order.
    """

    def __init__(self, kept: "list[tuple[Tensor, ...]] | None" = None) -> None:
        super().__init__()
        self.kept = [] if kept is None else kept
        self._next = None if kept is None else 0

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """PyTorch calls it in place of each of its functions."""
        kwargs = kwargs or {}
        if func in NORMS:
            return NORMS[func](self, *args, **kwargs)
        if name_of(func) in ("adaptive_avg_pool2d", "mean") and _is_global(func, *args, **kwargs):
            return self._swap(lambda: (func(*args, **kwargs),))[0]
        return func(*args, **kwargs)

    def group_norm(
        self, input: Tensor, num_groups: int, weight: Tensor | None = None,
        bias: Tensor | None = None, eps: float = 1e-5, *more: Any,
    ) -> Tensor:  # fmt: skip
        """The arguments are those of ``torch.nn.functional.group_norm``."""
        groups = input.unflatten(1, (num_groups, -1))
        over = tuple(range(2, groups.ndim))
        mean, variance = self._swap(
            lambda: (groups.mean(over, keepdim=True), groups.var(over, correction=0, keepdim=True))
        )
        normalised = ((groups - mean) * (variance + eps).rsqrt()).flatten(1, 2)
        shape = (-1, *[1] * (input.ndim - 2))
        scaled = normalised if weight is None else normalised * weight.view(shape)
        return scaled if bias is None else scaled + bias.view(shape)

    def instance_norm(
        self, input: Tensor, running_mean: Tensor | None = None,
        running_var: Tensor | None = None, weight: Tensor | None = None,
        bias: Tensor | None = None, use_input_stats: bool = True, momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:  # fmt: skip
        """The arguments are those of ``torch.nn.functional.instance_norm``."""
        if not use_input_stats:
            return functional.instance_norm(
                input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps
            )
        return self.group_norm(input, input.shape[1], weight, bias, eps)

    def _swap(self, compute: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        if self._next is None:
            self.kept.append(compute())
            return self.kept[-1]
        self._next += 1
        return self.kept[self._next - 1]


def _is_global(
    func: Callable, input: Any = None, size: Any = None, *more: Any, **rest: Any
) -> bool:
    if not isinstance(input, Tensor) or input.ndim != 4:
        return False
    asked = rest.get("output_size", rest.get("dim", size))
    if name_of(func) == "mean":
        return isinstance(asked, list | tuple) and set(asked) in ROWS_AND_COLUMNS
    sides: Size = asked
    return isinstance(sides, int | list | tuple) and pair(sides) == (1, 1)


NORMS: dict[Callable, Callable] = {
    functional.group_norm: ImageStatistics.group_norm,
    torch.group_norm: ImageStatistics.group_norm,
    functional.instance_norm: ImageStatistics.instance_norm,
}
