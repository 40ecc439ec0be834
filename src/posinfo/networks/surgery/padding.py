"""Padding as a transformation of a network, not as a kind of network.

What stands at the border is where absolute position comes from (Islam et al., ICLR 2020, section
4), so everything that pads is changed: convolutions, and pooling too, because a circular network
with a zero-padded max-pool still sees the border.
"""

import copy
from collections.abc import Sequence
from typing import Annotated, Any

import torch
from torch import nn

from posinfo.choices import check, one_of
from posinfo.networks.surgery.layer_names import is_within, require_layer
from posinfo.networks.surgery.padding_edges import PaddedCall
from posinfo.networks.surgery.padding_mode import PaddingMode
from posinfo.networks.surgery.wrapper import Wrapper

AS_BUILT = "as_built"
PADDINGS = (AS_BUILT, "zero", "none", "reflect", "replicate", "circular", "partial")

PaddingName = Annotated[str, one_of("padding", PADDINGS)]


def repad(model: nn.Module, kind: str, layers: Sequence[str] = ()) -> nn.Module:
    """A copy of a network with the same weights and another padding.

    Nothing is traced: the padding is changed where ``conv2d``, pooling and ``pad`` are called, so
    that any ``forward`` will do, and hooks, parametrisations and functional calls keep working.
    Whatever else pads is refused. Activation checkpointing calls ``forward`` again outside of the
    copy's own, with the padding as built: switch it off where gradients are wanted.

    Args:
        model: any network whose layers are Python; it stays as it is.
        kind: one of ``PADDINGS``. ``1234`` padded by two pixels per side becomes

            - ``as_built``: what the network was built with; a plain copy;
            - ``zero``: ``00123400``;
            - ``none``: ``1234``: every map shrinks. Where branches meet again (``+``, ``*``,
              ``cat``, ...), the wider one is cropped around its centre to what the other has kept;
            - ``reflect``: ``32123432``;
            - ``replicate``: ``11123444``;
            - ``circular``: ``34123412``;
            - ``partial``: zeros that do not count: each output is scaled up by the share of its
              window that lies inside the image (partial convolution, Liu et al., ECCV 2018), and
              is 0 where no part of it does.
        layers: names of the layers to be changed, with all that is inside of them; empty: all.

    Raises:
        ValueError: an unknown kind, or a layer that is not there. In the first forward pass: a
            network (a ViT, for one) or a named layer that pads nowhere, or one that pads in a way
            that cannot be changed; the message names the layer. A ``MapTooSmallError`` if a map is
            too small to be padded by so much.
    """
    check("padding", kind, PADDINGS)
    for layer in layers:
        require_layer(model, layer, "the network")
    compiled = [n for n, m in model.named_modules() if isinstance(m, torch.jit.ScriptModule)]
    if compiled and kind != AS_BUILT:
        raise ValueError(f"padding {kind!r}: layer {compiled[0]!r} is TorchScript, not Python")
    copied = copy.deepcopy(model)
    return copied if kind == AS_BUILT else Repadded(copied, kind, layers)


class Repadded(Wrapper):
    """A network that pads in another way; ``torch.compile`` leaves it as it is.

    Args:
        network: the network itself.
        kind: one of ``PADDINGS`` but for ``as_built``.
        layers: see ``repad``.

    Attributes:
        padding_kind, padding_layers: the arguments.
        padded_calls: what the last forward pass padded.
    """

    def __init__(self, network: nn.Module, kind: str, layers: Sequence[str] = ()) -> None:
        super().__init__(network)
        self.padding_kind, self.padding_layers = kind, tuple(layers)
        self.padded_calls: list[PaddedCall] = []

    @torch.compiler.disable
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the network returns."""
        output = self.run(*args, **kwargs)
        require_padded(self)
        return output

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """The same, also where nothing is padded: if a part of the network does not run."""
        with PaddingMode(self.padding_kind, self.wrapped, self.padding_layers) as mode:
            self.padded_calls = mode.calls
            return self.wrapped(*args, **kwargs)


def require_padded(network: nn.Module) -> None:
    """Refuse a re-padded network whose last forward pass padded nothing, or not in a named layer.

    Raises:
        ValueError: there was no padded layer.
    """
    if not isinstance(network, Repadded):
        return
    kind, calls = network.padding_kind, network.padded_calls
    for layer in network.padding_layers:
        if not any(is_within(call.layer, [layer]) for call in calls):
            raise ValueError(f"padding {kind!r}: layer {layer!r} pads nothing")
    if kind != "zero" and not calls:
        raise ValueError(
            f"padding {kind!r}: this network has no padded layer, there is nothing to pad; if its "
            "positions come from an embedding, as those of a ViT, `positions: none` removes it"
        )
