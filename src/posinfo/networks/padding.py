"""Padding as a transformation of a network, not as a kind of network.

What stands at the border is where absolute position comes from (Islam et al., ICLR 2020, section
4), so every layer that pads is changed: convolutions, and pooling layers too, because a circular
network with a zero-padded max-pool still sees the border.
"""

import copy
import operator
from collections.abc import Callable
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn
from torch.fx.proxy import TraceError
from torch.nn import functional

from posinfo.choices import one_of, pick

Pool = nn.MaxPool2d | nn.AvgPool2d
Padded = nn.Conv2d | Pool
PaddingName = Annotated[str, one_of("padding", lambda: PADDINGS)]


def repad(model: nn.Module, kind: str) -> nn.Module:
    """A copy of a network with the same weights and another padding.

    Args:
        model: any network that torch.fx can trace; it stays as it is.
        kind: a key of ``PADDINGS``. ``1234`` padded by two pixels per side becomes

            - ``zero``: ``00123400``, the network as it was built;
            - ``none``: ``1234``: every map shrinks. Where branches meet again (``add``, ``cat``),
              the wider one is cropped around its centre to what the other has kept;
            - ``reflect``: ``32123432``;
            - ``replicate``: ``11123444``;
            - ``circular``: ``34123412``;
            - ``partial``: zeros that do not count: each output is scaled up by the share of its
              window that lies inside the image (partial convolution, Liu et al., ECCV 2018).

    Raises:
        ValueError: an unknown kind, a network without a padded layer (a ViT, for one), or one
            that cannot be traced or pads outside of convolutions and pooling layers.
    """
    change = pick("padding", kind, PADDINGS)
    repadded = copy.deepcopy(model)
    if kind == "zero":
        return repadded.train(model.training)
    traced = _trace(repadded)
    _make_pools_modules(traced)
    layers = [
        (name, layer)
        for name, layer in traced.named_modules()
        if isinstance(layer, Padded) and _pads(layer)
    ]
    if not layers:
        raise ValueError(
            f"padding {kind!r}: this network has no padded layer, there is nothing to pad; "
            "a ViT gets its positions from an embedding, which `positions: none` removes"
        )
    for name, layer in layers:
        traced.set_submodule(name, change(layer))
    if kind == "none":
        _crop_where_branches_meet(traced)
    traced.recompile()
    return traced.train(model.training)  # a copied GraphModule forgets its mode


class PartialConv2d(nn.Conv2d):
    """Partial convolution (Liu et al., ECCV 2018, equation 1) whose holes are the padding."""

    def forward(self, input: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d a b"]:
        """The zero-padded convolution over the share of each window that is inside, plus bias."""
        outputs = functional.conv2d(
            input, self.weight, None, self.stride, self.padding, self.dilation, self.groups
        )
        outputs = outputs * self._scale(input).to(outputs.dtype)
        return outputs if self.bias is None else outputs + self.bias[:, None, None]

    def _scale(self, like: Tensor) -> Float[Tensor, "1 1 a b"]:
        ones = torch.ones(1, 1, *like.shape[-2:], device=like.device)
        window = torch.ones(1, 1, *self.kernel_size, device=like.device)
        inside = functional.conv2d(ones, window, None, self.stride, self.padding, self.dilation)
        return window.sum() / inside


class ExplicitlyPaddedPool(nn.Module):
    """Pooling of an explicitly padded map; windows that ``ceil_mode`` lets overhang count too.

    Args:
        pool: the layer as it was built.
        mode: a mode of ``torch.nn.functional.pad``.
    """

    def __init__(self, pool: Pool, mode: str) -> None:
        super().__init__()
        self.pool, self.mode = copy.copy(pool), mode
        self.pool.padding, self.pool.ceil_mode = 0, False
        self.padding, self.ceil_mode = _pair(pool.padding), pool.ceil_mode

    def forward(self, maps: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c a b"]:
        """Pad, then pool."""
        edges: list[int] = []
        for axis in (1, 0):
            padding = self.padding[axis]
            edges += [padding, padding + self._overhang(maps.shape[2 + axis], axis)]
        return self.pool(functional.pad(maps, edges, mode=self.mode))

    def _overhang(self, side: int, axis: int) -> int:
        if not self.ceil_mode:
            return 0
        dilation = _pair(getattr(self.pool, "dilation", 1))[axis]
        window = dilation * (_pair(self.pool.kernel_size)[axis] - 1) + 1
        stride, padding = _pair(self.pool.stride)[axis], self.padding[axis]
        last = -(-(side + 2 * padding - window) // stride) * stride  # where the last window starts
        if last >= side + padding:  # PyTorch drops a window that starts beyond the map
            last -= stride
        return max(0, last + window - side - 2 * padding)


def _as_built(layer: Padded) -> nn.Module:
    return layer


def _unpadded(layer: Padded) -> nn.Module:
    if isinstance(layer, nn.Conv2d):
        return _rebuilt(layer, nn.Conv2d, padding=0)
    layer.padding, layer.ceil_mode = 0, False
    return layer


def _partial(layer: Padded) -> nn.Module:
    if isinstance(layer, nn.Conv2d):
        return _rebuilt(layer, PartialConv2d)
    if isinstance(layer, nn.AvgPool2d):
        layer.count_include_pad = False
    return layer  # a max-pool's padding is never the maximum


def _padded_by(mode: str) -> Callable[[Padded], nn.Module]:
    def change(layer: Padded) -> nn.Module:
        if isinstance(layer, nn.Conv2d):
            return _rebuilt(layer, nn.Conv2d, padding_mode=mode)
        return ExplicitlyPaddedPool(layer, mode)

    return change


def _rebuilt(layer: nn.Conv2d, kind: type[nn.Conv2d], **changes: Any) -> nn.Conv2d:
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation")
    settings = {name: getattr(layer, name) for name in (*names, "groups")} | changes
    rebuilt = kind(**settings, bias=layer.bias is not None, device="meta")
    rebuilt.load_state_dict(layer.state_dict(), assign=True)
    return rebuilt.train(layer.training)


def _pads(layer: Padded) -> bool:
    if isinstance(layer, nn.Conv2d) and isinstance(layer.padding, str):
        return layer.padding == "same" and max(layer.kernel_size) > 1
    return max(_pair(layer.padding)) > 0 or getattr(layer, "ceil_mode", False)


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _trace(model: nn.Module) -> fx.GraphModule:
    if isinstance(model, fx.GraphModule):
        return model
    try:
        return fx.symbolic_trace(model)
    except (TraceError, TypeError) as error:
        raise ValueError(f"the network cannot be traced by torch.fx: {error}") from error


def _make_pools_modules(traced: fx.GraphModule) -> None:
    """Functional pooling becomes a layer; whatever else pads outside of layers is refused."""
    for node in list(traced.graph.nodes):
        if node.op == "call_function" and node.target in POOLS:
            layer, arguments = POOLS[node.target]
            settings = dict(zip(arguments, node.args[1:], strict=False)) | node.kwargs
            settings.pop("input", None)
            name = f"pool_{node.name}"
            traced.add_submodule(name, layer(**settings))
            source = node.args[0] if node.args else node.kwargs["input"]
            node.op, node.target, node.args, node.kwargs = "call_module", name, (source,), {}
        elif _pads_by_itself(traced, node):
            raise ValueError(
                f"the network pads in {node.target} (node {node.name}), which cannot be changed: "
                "give the padding to a convolution or pooling layer"
            )


def _pads_by_itself(traced: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        kind = type(traced.get_submodule(str(node.target))).__name__
        return kind.endswith("Pad2d")
    return node.op == "call_function" and node.target in (functional.pad, functional.conv2d)


def _crop_where_branches_meet(traced: fx.GraphModule) -> None:
    for node in traced.graph.nodes:
        if node.op == "call_function" and node.target in (torch.add, operator.add, operator.iadd):
            node.target = _cropped_add
        elif node.op == "call_function" and node.target in (torch.cat, torch.concat):
            node.target = _cropped_cat
        elif node.op == "call_method" and node.target in ("add", "add_"):
            node.op, node.target = "call_function", _cropped_add


def _cropped_add(first: Any, second: Any) -> Any:
    if isinstance(first, Tensor) and isinstance(second, Tensor) and first.ndim == second.ndim == 4:
        first, second = _cropped([first, second])
    return first + second


def _cropped_cat(tensors: list[Tensor], dim: int = 0) -> Tensor:
    spatial = all(tensor.ndim == 4 for tensor in tensors) and dim == 1
    return torch.cat(_cropped(tensors) if spatial else tensors, dim)


def _cropped(maps: list[Tensor]) -> list[Tensor]:
    height, width = (min(tensor.shape[axis] for tensor in maps) for axis in (2, 3))
    return [
        tensor[:, :, (tensor.shape[2] - height) // 2 :, (tensor.shape[3] - width) // 2 :][
            :, :, :height, :width
        ]
        for tensor in maps
    ]


POOLS: dict[Any, tuple[type[Pool], tuple[str, ...]]] = {
    functional.avg_pool2d: (
        nn.AvgPool2d,
        ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
    ),
    functional.max_pool2d: (
        nn.MaxPool2d,
        ("kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    ),
}

PADDINGS: dict[str, Callable[[Padded], nn.Module]] = {
    "zero": _as_built,
    "none": _unpadded,
    "reflect": _padded_by("reflect"),
    "replicate": _padded_by("replicate"),
    "circular": _padded_by("circular"),
    "partial": _partial,
}
