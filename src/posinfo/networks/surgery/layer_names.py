"""Layers of a network by their names."""

from collections.abc import Iterable
from difflib import get_close_matches

from torch import nn

LISTED = 30


def require_layer(network: nn.Module, layer: str, where: str) -> None:
    """Refuse a layer that a network does not have.

    Args:
        network: whose layer is meant.
        layer: its name.
        where: says of which network, for the message.

    Raises:
        ValueError: there is no such layer; the message lists those whose names are near.
    """
    names = [name for name, _ in network.named_modules() if name]
    if layer not in names:
        near = get_close_matches(layer, names, n=3) or names[:LISTED]
        raise ValueError(
            f"{where} has no layer {layer!r}; near or among its layers are {', '.join(near)}"
        )


def is_within(layer: str, names: Iterable[str]) -> bool:
    """Whether a layer is one of those named, or inside of one.

    Args:
        layer: its name.
        names: of other layers.
    """
    return any(layer == name or layer.startswith(f"{name}.") for name in names)
