"""Frozen networks whose feature maps are read (Islam et al., ICLR 2020, section 3.1)."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated

import torch
from jaxtyping import Float, UInt8
from pydantic import model_validator
from torch import Tensor, nn

from posinfo.choices import Section, Seed, one_of
from posinfo.networks.models.architectures import IMAGE, ArchName
from posinfo.networks.models.normalisation import Colours, normalise
from posinfo.networks.models.state_file import FULLY_PADDED
from posinfo.networks.models.weights import check_source, load_network, own_colours
from posinfo.networks.surgery.block_reader import BlockReader, drop_unused
from posinfo.networks.surgery.blocks import Blocks, align, is_channels_last
from posinfo.networks.surgery.dry_run import dry_run, find_layers, needed_tensors
from posinfo.networks.surgery.legal_size import require_legal
from posinfo.networks.surgery.padding import PaddingName, repad

POSITIONS = ("kept", "none")
PROBED = 128  # px; a multiple of every stride of a network that is padded fully


class BackboneConfig(Section):
    """A network whose features are read.

    Attributes:
        arch: ``image`` (no network at all: PosENet on the image alone), or see
            ``posinfo.networks.models.architectures``: torchvision's, timm's, one's own.
        weights: a name in ``posinfo.networks.models.weights.SOURCES`` (``untrained``, ``imagenet``,
            ``pretrained``, ``hed-bsds500``, ``efficientnet-lite0``, ``as-built``), or the path of
            a state dict; ``none`` for ``image``.
        padding: one of ``PADDINGS``; ``none`` for ``image``.
        padding_layers: names of the layers whose padding is changed; empty: all.
        blocks: ``default``, ``paper`` or names of layers, see ``block_layers``.
        positions: ``kept``, or ``none`` to zero the position embedding of a ViT.
        seed: seed of untrained weights.
    """

    arch: ArchName
    weights: str
    padding: PaddingName
    padding_layers: tuple[str, ...] = ()
    blocks: Blocks = "default"
    positions: Annotated[str, one_of("positions", POSITIONS)] = "kept"
    seed: Seed = 0

    @model_validator(mode="after")
    def _image_has_no_layers(self) -> "BackboneConfig":
        if self.arch == IMAGE and (self.weights, self.padding) != ("none", "none"):
            raise ValueError(
                "arch 'image' has no layers: weights and padding must be none; "
                f"got weights {self.weights!r}, padding {self.padding!r}"
            )
        return self

    def check(self, image_size: int, feature_size: int) -> None:
        """Whether the features of such images can be computed; a dry run on shapes.

        Args:
            image_size: side of the images in pixels.
            feature_size: side in pixels to which every block's maps are resized.

        Raises:
            FileNotFoundError, ValueError: see ``check_source`` and ``block_channels``; a feature
                size beyond the image size.
        """
        if feature_size > image_size:
            raise ValueError(
                f"feature_size {feature_size} must be at most image_size {image_size}: "
                "no block is larger than the image"
            )
        self.block_channels(image_size)
        if self.arch != IMAGE:
            needed = needed_tensors(self.arch, self.blocks, image_size)
            check_source(self.arch, self.weights, needed)

    def block_channels(self, image_size: int) -> dict[str, int]:
        """Channels of each block by its name (f1, f2, ...), found by a dry run.

        Raises:
            ValueError: the images are too small for the network, the padding or the blocks do not
                suit it, or it has no spatial feature map.
        """
        shape = self.model_copy(update={"weights": "", "seed": 0})
        return dict(_block_channels(shape, image_size))  # type: ignore[arg-type]


class Backbone(nn.Module):
    """A frozen network that maps images to its blocks, aligned and concatenated.

    Args:
        blocks: maps normalised images to a dict of aligned maps, in the order of concatenation.
        feature_size: side of these maps in pixels.
        normalisation: a key of ``NORMALISATIONS``.
        own: see ``normalise``.
    """

    def __init__(
        self, blocks: nn.Module, feature_size: int, normalisation: str, own: Colours | None = None
    ) -> None:
        super().__init__()
        self.blocks = blocks.eval().requires_grad_(False)
        self.feature_size = feature_size
        self.normalisation = normalisation
        self.own = own

    def forward(self, images: UInt8[Tensor, "n 3 h w"]) -> Float[Tensor, "n c s s"]:
        """Features of 8-bit RGB images, bilinearly resized as in the released code."""
        like = next(self.blocks.parameters(), torch.empty(0))
        normalised = normalise(images, self.normalisation, self.own)
        maps = self.blocks(normalised.to(like.dtype, memory_format=torch.channels_last))
        return torch.cat(list(maps.values()), dim=1)


def build_backbone(
    config: BackboneConfig, image_size: int, feature_size: int, normalisation: str
) -> Backbone:
    """The frozen network of a configuration.

    Args:
        config: architecture, weights, padding and blocks.
        image_size: side in pixels of the images; default blocks may depend on it.
        feature_size: side in pixels to which every block's maps are resized.
        normalisation: a key of ``NORMALISATIONS``.

    Raises:
        FileNotFoundError, ValueError: the weights are missing or do not fit.
    """
    if config.arch == IMAGE:
        return Backbone(_ImageAlone(feature_size), feature_size, normalisation)
    layers = find_layers(config.arch, config.blocks, image_size)
    needed = needed_tensors(config.arch, config.blocks, image_size)
    network = load_network(config.arch, config.weights, config.seed, needed)
    drop_unused(network, needed)  # a classifier without weights cannot be moved to a device
    blocks = _aligned(network, layers, config, feature_size)
    own = own_colours(config.arch, config.weights)
    return Backbone(blocks, feature_size, normalisation, own)


@lru_cache(maxsize=256)
def _block_channels(config: BackboneConfig, image_size: int) -> tuple[tuple[str, int], ...]:
    if config.arch == IMAGE:
        return ((IMAGE, 3),)
    name = f"arch {config.arch!r} with padding {config.padding!r}"
    layers = require_legal(
        lambda size: find_layers(config.arch, config.blocks, size), image_size, name, "image_size"
    )

    def channels(network: nn.Module, images: Tensor) -> tuple[tuple[str, int], ...]:
        maps = _aligned(network, layers, config, feature_size=2)(images)
        return tuple((name, block.shape[1]) for name, block in maps.items())

    return require_legal(
        lambda size: dry_run(config.arch, size, channels),
        image_size,
        name,
        "image_size",
    )


def _aligned(
    network: nn.Module, layers: Sequence[str], config: BackboneConfig, feature_size: int
) -> BlockReader:
    if config.positions == "none":
        _zero_positions(network)
    last = is_channels_last(network, config.arch)
    repadded = repad(network, config.padding, config.padding_layers)
    beyond = _beyond_the_image(config, layers) if hasattr(network, FULLY_PADDED) else None
    return BlockReader(
        repadded,
        layers,
        lambda block, index: align(block, feature_size, last, beyond[index] if beyond else 0),
    )


def _beyond_the_image(config: BackboneConfig, layers: Sequence[str]) -> list[int] | None:
    """Rows of each block that lie outside of the image, of a network that is padded fully.

    Twice the image has twice as many rows inside of it, and as many outside.
    """
    if config.padding == "none":  # its maps are smaller than the image
        return None

    def sides(network: nn.Module, images: Tensor) -> list[int]:
        repadded = repad(network, config.padding, config.padding_layers)
        blocks = BlockReader(repadded, layers, lambda block, index: block)(images)
        return [block.shape[2] for block in blocks.values()]

    once, twice = (dry_run(config.arch, size, sides) for size in (PROBED, 2 * PROBED))
    return [2 * small - large for small, large in zip(once, twice, strict=True)]


def _zero_positions(network: nn.Module) -> None:
    embeddings = [
        parameter
        for name, parameter in network.named_parameters()
        if name.endswith(("pos_embedding", "pos_embed"))  # torchvision's, timm's
    ]
    if not embeddings:
        raise ValueError("positions: none - this network has no position embedding to remove")
    for parameter in embeddings:
        parameter.data.zero_()


class _ImageAlone(nn.Module):
    def __init__(self, feature_size: int) -> None:
        super().__init__()
        self.feature_size = feature_size

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {IMAGE: align(images, self.feature_size)}
