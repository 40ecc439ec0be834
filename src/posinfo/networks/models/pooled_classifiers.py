"""GAPNet and PermuteNet: classifiers that pool all positions (Islam et al., ICCV 2021)."""

import copy
from functools import lru_cache
from typing import Annotated
from zlib import crc32

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from posinfo.choices import Section, one_of
from posinfo.networks.models.architectures import OWN, NetworkName
from posinfo.networks.models.weights import load_network
from posinfo.networks.surgery.block_reader import BlockReader, drop_unused
from posinfo.networks.surgery.blocks import as_maps, is_channels_last, is_resnet
from posinfo.networks.surgery.dry_run import dry_run, find_layers, needed_tensors
from posinfo.networks.surgery.legal_size import LARGEST_IMAGE, TOO_SMALL, require_legal
from posinfo.networks.surgery.padding import PaddingName, repad
from posinfo.networks.surgery.permutation import ChannelPermutation, PermutationName

NETWORKS = ("gapnet", "permutenet")


class ClassifierConfig(Section):
    """A backbone with one of the two heads.

    Attributes:
        network: one of ``NETWORKS``.
        arch: a classification network without its classifier, see
            ``posinfo.networks.models.architectures``.
        width: channels of the first stage of an arch of ``OWN``; None for other networks.
        padding: padding of every layer, a key of ``PADDINGS``.
        permutation: how channels are permuted, a key of ``PERMUTATIONS``.
        permuted_before: the stage of a ResNet before which channels are permuted, 1 to 4; None:
            after pooling, which only PermuteNet can.
    """

    network: Annotated[str, one_of("network", NETWORKS)]
    arch: NetworkName
    width: int | None = Field(ge=1)
    padding: PaddingName
    permutation: PermutationName
    permuted_before: int | None = Field(ge=1, le=4)

    @model_validator(mode="after")
    def _fits_together(self) -> "ClassifierConfig":
        if self.width is None and self.arch in OWN:
            raise ValueError(f"arch {self.arch!r} needs a width; the papers' is 64")
        if self.width is not None and self.arch not in OWN:
            raise ValueError(
                f"width is a setting of {', '.join(OWN)}; for arch {self.arch!r} it must be null"
            )
        if self.network == "gapnet" and self.permutation != "none" and not self.permuted_before:
            raise ValueError(
                "gapnet has no channels to permute after pooling, they are its answer: "
                "permutation must be none, or permuted_before a stage, 1 to 4"
            )
        if self.permuted_before and not is_resnet(self.arch):
            raise ValueError(f"permuted_before is a stage of a ResNet; got arch {self.arch!r}")
        if self.permuted_before and self.permutation == "none":
            raise ValueError("permuted_before needs a permutation; got permutation 'none'")
        return self

    @property
    def full_arch(self) -> str:
        """The name of the architecture with its width, as ``build_network`` takes it."""
        return self.arch if self.width is None else f"{self.arch}(width={self.width})"

    def check(self, side: int, setting: str) -> None:
        """Refuse canvases that are too small for the network, found by a dry run on shapes.

        Args:
            side: side of the canvases in pixels.
            setting: name of the setting that decides the side, for the message.

        Raises:
            ValueError: they are too small; the message proposes the smallest legal side.
        """
        _require_legal(self, side, setting)  # type: ignore[arg-type]


class PooledClassifier(nn.Module):
    """Feature maps and a head, with an average over all positions after either.

    Args:
        trunk: reads the last feature maps of a network.
        head: leads from their channels to the classes.
    """

    def __init__(self, trunk: BlockReader, head: nn.Module) -> None:
        super().__init__()
        self.maps = trunk
        self.head = head

    def last_maps(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c a b"]:
        """The last feature maps."""
        return self.maps(images)["f1"]


class GAPNet(PooledClassifier):
    """One map per class, averaged over all positions: the averages are the logits."""

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n k"]:
        """Logits."""
        return self.head(self.last_maps(images)).mean((2, 3))


class PermuteNet(PooledClassifier):
    """Maps averaged over all positions, their channels permuted, and a linear head.

    Args:
        trunk: see ``PooledClassifier``.
        head: see ``PooledClassifier``.
        permutation: permutes the averages.
    """

    def __init__(
        self, trunk: BlockReader, head: nn.Module, permutation: ChannelPermutation
    ) -> None:
        super().__init__(trunk, head)
        self.permutation = permutation

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n k"]:
        """Logits."""
        return self.head(self.permutation(self.last_maps(images).mean((2, 3))))


def build_classifier(
    config: ClassifierConfig, classes: int, seed: int, image_size: int
) -> nn.Module:
    """An untrained network in training mode.

    Args:
        config: backbone, head, padding and permutation.
        classes: number of logits.
        seed: seed of the initial weights and of the permutations.
        image_size: side of the canvases in pixels; which map is last may depend on it.

    Raises:
        ValueError: the network has no spatial feature map, or the padding does not suit it.
    """
    channels = _channels(config, image_size)  # type: ignore[arg-type]
    network = load_network(config.full_arch, "untrained", seed)
    trunk = _trunk(config, network, image_size)
    return _assembled(config, trunk, channels, classes, seed).train()


def _assembled(
    config: ClassifierConfig, trunk: BlockReader, channels: int, classes: int, seed: int
) -> nn.Module:
    permutation = ChannelPermutation(config.permutation, _drawn(seed))
    pooled = ChannelPermutation("none", 0) if config.permuted_before else permutation
    if config.permuted_before:
        trunk.permutation = permutation
        before = ("relu", "layer1", "layer2", "layer3")[config.permuted_before - 1]
        trunk.get_submodule(before).register_forward_hook(lambda *call: permutation(call[2]))
    device = next(trunk.parameters()).device
    with torch.random.fork_rng(devices=[]), device:
        torch.manual_seed(_drawn(seed))
        if config.network == "gapnet":
            head = nn.Sequential(nn.Conv2d(channels, classes, 3, padding=1))
            return GAPNet(trunk, repad(head, config.padding))
        return PermuteNet(trunk, nn.Linear(channels, classes), pooled)


def _trunk(config: ClassifierConfig, network: nn.Module, image_size: int) -> BlockReader:
    """Reads the last maps of a copy of a network, without what stands behind them."""
    arch = config.full_arch
    layers = find_layers(arch, "default", image_size)
    network = copy.deepcopy(network)
    drop_unused(network, needed_tensors(arch, "default", image_size))
    last = is_channels_last(network, arch)
    repadded = repad(network, config.padding)
    return BlockReader(repadded, layers[-1:], lambda block, index: as_maps(block, last))


@lru_cache(maxsize=256)  # cells that differ in their seeds alone have one answer
def _require_legal(config: ClassifierConfig, side: int, setting: str) -> None:
    channels = _channels(config, side)  # type: ignore[arg-type]

    def logits(network: nn.Module, images: Tensor) -> Tensor:
        return _assembled(config, _trunk(config, network, side), channels, 2, seed=0)(images)

    name = f"{config.network} of arch {config.full_arch!r} with padding {config.padding!r}"
    require_legal(lambda size: dry_run(config.full_arch, size, logits), side, name, setting)


@lru_cache(maxsize=256)
def _channels(config: ClassifierConfig, image_size: int) -> int:
    """Channels of the last maps, also where the images are too small for the network."""

    def channels(network: nn.Module, images: Tensor) -> int:
        return _trunk(config, network, image_size)(images)["f1"].shape[1]

    for size in (image_size, LARGEST_IMAGE):
        try:
            return dry_run(config.full_arch, size, channels)
        except TOO_SMALL as error:
            refused = error
    raise ValueError(
        f"arch {config.full_arch!r} cannot take images of {image_size} px: {refused}"
    ) from refused


def _drawn(seed: int) -> int:
    """A seed for the head and the permutations, unlike the backbone's."""
    return crc32(f"head {seed}".encode())
