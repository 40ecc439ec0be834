"""Which layers of a network are read, and how their outputs become maps of one size."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn
from torch.fx.proxy import TraceError
from torch.nn.functional import interpolate
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from posinfo.networks.architectures import is_custom

CLASSIFIERS = ("classifier.", "fc", "head")  # where no block is looked for
VIT_DEPTHS = 4
LISTED = 30

Blocks = str | tuple[str, ...]
"""``default``, ``paper``, or names of layers."""


def block_layers(network: nn.Module, arch: str, blocks: Blocks, image_size: int) -> list[str]:
    """The layers behind the blocks f1, f2, ... of a network, low to high.

    Args:
        network: the network on the meta device, so that nothing but shapes is computed.
        arch: name of its architecture.
        blocks: ``default`` takes, as the released code, the ReLU outputs before the pooling
            layers of a VGG and the four stages of a ResNet; the four stages of a Swin or MaxViT;
            the tokens at four depths of a ViT; of any other network the last layer at each
            resolution. ``paper`` adds the stem of a ResNet (Islam et al., section 3.1). Or names
            of layers.
        image_size: side in pixels of the images.

    Raises:
        ValueError: an unknown layer (candidates are listed), no such blocks for this network, or
            no layer that has a spatial map.
    """
    family = _family(arch)
    if blocks == "paper":
        if family is None or family not in (_resnet, _vgg):
            raise ValueError(
                "blocks 'paper' are those of VGGs and ResNets; "
                f"for arch {arch!r} use default, or names of layers"
            )
        return [*(["relu"] if family is _resnet else []), *family(network)]
    if blocks == "default":
        return family(network) if family else _last_at_each_resolution(network, image_size)
    if isinstance(blocks, str):
        raise ValueError(f"blocks must be default, paper or a list of layers; got {blocks!r}")
    names = _node_names(network)
    for layer in blocks:
        if layer not in names and not any(name.startswith(f"{layer}.") for name in names):
            near = get_close_matches(layer, names, n=3)
            candidates = near or [name for name in names if "." in name][:LISTED]
            raise ValueError(
                f"arch {arch!r} has no layer {layer!r}; near or among its layers are "
                + ", ".join(candidates)
            )
    return list(blocks)


def trace_blocks(network: nn.Module, layers: Sequence[str]) -> fx.GraphModule:
    """The part of a network that ends in these layers; it returns a dict of maps f1, f2, ...

    Args:
        network: any network that torch.fx can trace.
        layers: names of the layers behind f1, f2, ...

    Raises:
        ValueError: the network cannot be traced.
    """
    names = {layer: f"f{index}" for index, layer in enumerate(layers, start=1)}
    with _traceable():
        extractor = create_feature_extractor(network, names, suppress_diff_warning=True).eval()
    # torchvision's own kind of GraphModule goes back to its first graph with every train or eval
    return fx.GraphModule(extractor, extractor.graph).eval()


def align_blocks(extractor: fx.GraphModule, size: int, *, channels_last: bool) -> fx.GraphModule:
    """Resize each block as soon as it is computed, so that no full-size map is kept waiting.

    Args:
        extractor: as ``trace_blocks`` returns it; changed in place.
        size: side in pixels to which each map is resized, bilinearly with corners aligned.
        channels_last: whether 4-D outputs are (n, h, w, c), as those of a Swin.
    """
    graph = extractor.graph
    output = graph.output_node()
    blocks = output.args[0]
    assert isinstance(blocks, dict)
    aligned = {}
    for name, node in blocks.items():
        assert isinstance(node, fx.Node)
        with graph.inserting_after(node):
            aligned[name] = graph.call_function(align, (node, size, channels_last))
    output.args = (aligned,)
    extractor.recompile()
    return extractor


def is_resnet(arch: str) -> bool:
    """Whether a network has the four stages of a ResNet."""
    return _family(arch) is _resnet


def is_channels_last(arch: str) -> bool:
    """Whether the blocks of a network are (n, h, w, c)."""
    return _family(arch) is _swin


def align(
    block: Float[Tensor, "n ..."], size: int, channels_last: bool = False
) -> Float[Tensor, "n c s s"]:
    """Maps of one size: bilinear with corners aligned, as in the released code.

    Args:
        block: (n, c, h, w), or (n, h, w, c), or tokens (n, t, c) of a square grid, with or
            without a class token before them.
        size: side in pixels of the result.
        channels_last: whether 4-D blocks are (n, h, w, c).

    Raises:
        ValueError: the block has no spatial map.
    """
    maps = as_maps(block, channels_last)
    return interpolate(maps, (size, size), mode="bilinear", align_corners=True)


def as_maps(block: Float[Tensor, "n ..."], channels_last: bool = False) -> Float[Tensor, "n c h w"]:
    """The output of a layer as maps of its own size.

    Args:
        block: see ``align``.
        channels_last: see ``align``.

    Raises:
        ValueError: the block has no spatial map.
    """
    if block.ndim == 3:
        return _grid_of_tokens(block)
    if block.ndim != 4:
        raise ValueError(
            f"a block of shape {tuple(block.shape)} has no spatial map: name other layers"
        )
    return block.permute(0, 3, 1, 2) if channels_last else block


def _grid_of_tokens(tokens: Float[Tensor, "n t c"]) -> Float[Tensor, "n c g g"]:
    count = tokens.shape[1]
    side = math.isqrt(count)
    if count not in (side**2, side**2 + 1):
        raise ValueError(f"{count} tokens are no square grid, with a class token or without")
    patches = tokens[:, count - side**2 :]  # the class token comes first
    return patches.transpose(1, 2).unflatten(2, (side, side))


@contextmanager
def _traceable() -> Iterator[None]:
    try:
        yield
    except (TraceError, TypeError) as error:
        raise ValueError(
            f"the network cannot be traced by torch.fx ({error}): its forward must not branch "
            "on values of tensors"
        ) from error


def _node_names(network: nn.Module) -> list[str]:
    with _traceable():
        return get_graph_node_names(network, suppress_diff_warning=True)[1]


def _last_at_each_resolution(network: nn.Module, image_size: int) -> list[str]:
    names = [
        name
        for name in _node_names(network)[1:]
        if not name.startswith(CLASSIFIERS) and not _pools_globally(network, name)
    ]
    everything = create_feature_extractor(network, names, suppress_diff_warning=True)
    outputs = everything(torch.empty(1, 3, image_size, image_size, device="meta"))
    last = {
        output.shape[-2:]: name
        for name, output in outputs.items()
        if isinstance(output, Tensor) and _is_map(output)
    }
    if not last:
        raise ValueError("the network has no spatial feature map: name its layers in `blocks`")
    return sorted(last.values(), key=names.index)


def _is_map(output: Tensor) -> bool:
    """Square and larger than a pixel; (n, h, w, c) tensors inside a block are not."""
    return output.ndim == 4 and output.shape[0] == 1 and 1 < output.shape[2] == output.shape[3]


def _pools_globally(network: nn.Module, name: str) -> bool:
    try:
        return isinstance(network.get_submodule(name), nn.AdaptiveAvgPool2d)
    except AttributeError:
        return False


def _vgg(network: nn.Module) -> list[str]:
    features = network.get_submodule("features")
    assert isinstance(features, nn.Sequential)
    pools = [i for i, layer in enumerate(features) if isinstance(layer, nn.MaxPool2d)]
    return [f"features.{index - 1}" for index in pools]


def _resnet(network: nn.Module) -> list[str]:
    return ["layer1", "layer2", "layer3", "layer4"]


def _swin(network: nn.Module) -> list[str]:
    return ["features.1", "features.3", "features.5", "features.7"]


def _maxvit(network: nn.Module) -> list[str]:
    return ["blocks.0", "blocks.1", "blocks.2", "blocks.3"]


def _vit(network: nn.Module) -> list[str]:
    depth = len(list(network.get_submodule("encoder.layers").children()))
    depths = [round(depth * part / VIT_DEPTHS) - 1 for part in range(1, VIT_DEPTHS + 1)]
    return [f"encoder.layers.encoder_layer_{index}" for index in depths]


def _family(arch: str) -> Callable[[nn.Module], list[str]] | None:
    if is_custom(arch):
        return None
    return next((layers for prefix, layers in FAMILIES.items() if arch.startswith(prefix)), None)


# By the first letters of the architecture's name; all others: the last layer at each resolution.
FAMILIES: dict[str, Callable[[nn.Module], list[str]]] = {
    "vgg": _vgg,
    "resnet": _resnet,
    "canvas_resnet18": _resnet,
    "cifar_resnet18": _resnet,
    "resnext": _resnet,
    "wide_resnet": _resnet,
    "swin": _swin,
    "maxvit": _maxvit,
    "vit": _vit,
}
