"""Padding as a transformation of a network, not as a kind of network."""

import copy
from collections.abc import Callable

from torch import nn

from posinfo.choices import pick

Padded = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d


def repad(model: nn.Module, kind: str) -> nn.Module:
    """A copy of a network with the same weights and another padding.

    Args:
        model: any network; it stays as it is.
        kind: a key of ``PADDINGS``. ``1234`` padded by one pixel per side becomes

            - ``zero``: ``012340``, the network as it was built;
            - ``none``: ``1234``; every layer's output shrinks, so sizes must allow for it.

    Raises:
        ValueError: an unknown kind.
    """
    change = pick("padding", kind, PADDINGS)
    repadded = copy.deepcopy(model)
    for module in repadded.modules():
        if isinstance(module, Padded):
            change(module)
    return repadded


def _as_built(layer: Padded) -> None:
    """Zero padding is what torchvision's networks have."""


def _unpad(layer: Padded) -> None:
    layer.padding = (0, 0)


PADDINGS: dict[str, Callable[[Padded], None]] = {"zero": _as_built, "none": _unpad}
