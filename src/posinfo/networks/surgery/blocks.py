"""Which layers of a network are read, and how their outputs become maps of one size."""

import math
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from posinfo.networks.models.architectures import is_custom
from posinfo.networks.surgery.layer_names import require_layer

CLASSIFIERS = ("classifier", "fc", "head")  # where no block is looked for
DEPTHS = 4  # of a Transformer

Blocks = str | tuple[str, ...]
"""``default``, ``paper``, or names of layers."""


def block_layers(
    network: nn.Module,
    images: Float[Tensor, "1 3 h w"],
    arch: str,
    blocks: Blocks,
    *,
    itself: bool = True,
) -> list[str]:
    """The layers behind the blocks f1, f2, ... of a network, low to high.

    Args:
        network: the network; see ``dry_run`` for one that computes nothing but shapes.
        images: an image for it.
        arch: name of its architecture.
        blocks: ``default`` takes, as the released code, the ReLU outputs before the pooling
            layers of a VGG and the four stages of a ResNet; the four stages of a Swin or MaxViT;
            the tokens at four depths of a ViT; the layers that timm calls features of its
            networks; of any other network the last layer at each resolution. ``paper`` adds the
            stem of a ResNet (Islam et al., section 3.1). Or names of layers.
        itself: whether the network itself, whose name is empty, counts as the last layer at the
            resolution of its output; otherwise only where it has no other.

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
        layers = family(network) if family else []
        known = {name for name, _ in network.named_modules()}
        # timm names features of some networks that are no layers
        return (
            layers
            if layers and known >= set(layers)
            else _last_at_each_resolution(network, images, itself)
        )
    if isinstance(blocks, str):
        raise ValueError(f"blocks must be default, paper or a list of layers; got {blocks!r}")
    for layer in blocks:
        require_layer(network, layer.partition("[")[0], f"arch {arch!r}")
    return list(blocks)


def is_resnet(arch: str) -> bool:
    """Whether a network has the four stages of a ResNet."""
    return _family(arch) is _resnet


def is_channels_last(network: nn.Module, arch: str) -> bool:
    """Whether the blocks of a network are (n, h, w, c)."""
    return _family(arch) is _swin or getattr(network, "output_fmt", "") == "NHWC"


def align(
    block: Float[Tensor, "n ..."], size: int, channels_last: bool = False, beyond: int = 0
) -> Float[Tensor, "n c s s"]:
    """Maps of one size: bilinear with corners aligned, as in the released code.

    Args:
        block: (n, c, h, w), or (n, h, w, c), or tokens (n, t, c) of a square grid, with or
            without a class token before them.
        size: side in pixels of the result.
        channels_last: whether 4-D blocks are (n, h, w, c).
        beyond: how many rows and columns of the block lie outside of the image, at both sides
            together; they are cut off.

    Raises:
        ValueError: the block has no spatial map.
    """
    maps = as_maps(block, channels_last)
    height, width = (side - beyond for side in maps.shape[2:])
    first = (beyond + 1) // 2
    maps = maps[:, :, first : first + height, first : first + width]
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


def _last_at_each_resolution(network: nn.Module, images: Tensor, itself: bool) -> list[str]:
    """Of the layers that run once, before the classifier and not behind a global pool."""
    calls: dict[str, int] = {}
    last: dict[torch.Size, str] = {}

    def note(name: str, module: nn.Module, inputs: object, output: object) -> None:
        calls[name] = calls.get(name, 0) + 1
        if not name and last and not itself:
            return
        if isinstance(output, Tensor) and _is_map(output) and calls[name] == 1:
            last.pop(output.shape[2:], None)
            last[output.shape[2:]] = name

    with ExitStack() as hooks, torch.no_grad():
        for name, module in network.named_modules():
            if not name.startswith(CLASSIFIERS) and not isinstance(module, nn.AdaptiveAvgPool2d):
                hooks.callback(module.register_forward_hook(partial(note, name)).remove)
        network(images)
    if not last:
        raise ValueError("the network has no spatial feature map: name its layers in `blocks`")
    return list(last.values())


def _is_map(output: Tensor) -> bool:
    """Square and larger than a pixel; (n, h, w, c) tensors inside a block are not."""
    return output.ndim == 4 and output.shape[0] == 1 and 1 < output.shape[2] == output.shape[3]


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
    return [f"encoder.layers.encoder_layer_{index}" for index in _depths(depth)]


def _timm(network: nn.Module) -> list[str]:
    features = list(network.feature_info)  # type: ignore[arg-type]
    same = len({feature["reduction"] for feature in features}) == 1
    kept = [features[index] for index in _depths(len(features))] if same else features
    return [feature["module"] for feature in kept]


def _depths(layers: int) -> list[int]:
    return [round(layers * part / DEPTHS) - 1 for part in range(1, DEPTHS + 1)]


def _family(arch: str) -> Callable[[nn.Module], list[str]] | None:
    if is_custom(arch):
        return None
    return next((layers for prefix, layers in FAMILIES.items() if arch.startswith(prefix)), None)


# By the first letters of the architecture's name; all others: the last layer at each resolution.
FAMILIES: dict[str, Callable[[nn.Module], list[str]]] = {
    "vgg": _vgg,
    "resnet": _resnet,
    "bagnet33": _resnet,
    "canvas_resnet18": _resnet,
    "cifar_resnet18": _resnet,
    "narrow_resnet18": _resnet,
    "segmenter_resnet18": _resnet,
    "resnext": _resnet,
    "wide_resnet": _resnet,
    "swin": _swin,
    "maxvit": _maxvit,
    "vit": _vit,
    "timm/": _timm,
}
