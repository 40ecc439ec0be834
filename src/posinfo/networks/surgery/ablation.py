"""Channels of a layer, silenced: they are zero, or their mean, whatever the image."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from posinfo.networks.surgery.layer_names import require_layer


@contextmanager
def ablated(
    network: nn.Module,
    layer: str,
    channels: Sequence[int],
    values: Float[Tensor, " c"] | float = 0.0,
) -> Iterator[None]:
    """Within the block, some channels of a layer's output are constant.

    Blocks may be nested and repeated, and nothing is left behind, whatever happens inside of them.

    Args:
        network: any network; it is not copied.
        layer: name of a layer whose output is a tensor (n, c, ...).
        channels: indices from 0 to c - 1; none: nothing is changed.
        values: what they become: a number, or the mean of each of the c channels. After a ReLU, 0
            is an extreme value and not a neutral one.

    Raises:
        ValueError: there is no such layer, its output is no tensor, or a channel is not there.
    """
    require_layer(network, layer, "the network")
    chosen = list(channels)

    def silence(module: nn.Module, inputs: object, output: object) -> Tensor:
        return without_channels(require_tensor(output, layer), chosen, values)

    handle = network.get_submodule(layer).register_forward_hook(silence)
    try:
        yield
    finally:
        handle.remove()


def without_channels(
    maps: Float[Tensor, "n c *s"],
    channels: Sequence[int] | Tensor,
    values: Float[Tensor, " c"] | float = 0.0,
) -> Float[Tensor, "n c *s"]:
    """A copy of maps some of whose channels are constant; see ``ablated``.

    Raises:
        ValueError: a channel is not there.
    """
    index = torch.as_tensor(channels, dtype=torch.long, device=maps.device)
    count = maps.shape[1]
    if len(index) and not 0 <= int(index.min()) <= int(index.max()) < count:
        raise ValueError(f"channels must be 0 to {count - 1}; got {index.tolist()}")
    constant = torch.as_tensor(values, dtype=maps.dtype, device=maps.device).expand(count)
    silent = torch.zeros(count, dtype=torch.bool, device=maps.device).index_fill_(0, index, True)
    spread = (1, -1, *[1] * (maps.ndim - 2))
    return torch.where(silent.view(spread), constant.view(spread), maps)


def require_tensor(output: object, layer: str) -> Tensor:
    """The output of a layer, if it is a tensor.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(output, Tensor):
        raise ValueError(f"layer {layer!r} must answer with a tensor; got {type(output).__name__}")
    return output
