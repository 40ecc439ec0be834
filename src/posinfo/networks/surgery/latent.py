"""The layer whose channels are attacked."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from posinfo.networks.surgery.layer_names import require_layer

AXES = 4  # n, c, h, w
STRETCHED = 1.5  # how much wider or narrower than the image maps without padding may be


def require_maps(
    network: nn.Module, layer: str, images: Float[Tensor, "n 3 h w"], where: str
) -> Any:
    """What a network answers, when the output of a layer is maps (n, c, h, w).

    Args:
        network: in evaluation mode.
        layer: name of the layer.
        images: on the network's device; those of the meta device have shapes alone.
        where: says of which network, for messages.

    Raises:
        ValueError: there is no such layer, it does not run, or its output is no maps: of another
            number of axes, or with the channels last, as those of a Swin Transformer.
    """
    require_layer(network, layer, where)
    outputs: list[Any] = []
    module = network.get_submodule(layer)
    with torch.no_grad(), module.register_forward_hook(lambda *call: outputs.append(call[2])):
        answer = network(images)
    found = outputs[0] if outputs else None
    shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    said = f"{where}: layer {layer!r} must answer with maps (n, c, h, w); got {shape}"
    if not isinstance(found, Tensor) or found.ndim != AXES:
        raise ValueError(said)
    height, width = images.shape[2:]
    stretched = found.shape[3] * height / (found.shape[2] * width)
    if not 1 / STRETCHED <= stretched <= STRETCHED:
        raise ValueError(
            f"{said} of images of {height} x {width} px: are its channels last, or is it pooled?"
        )
    return answer
