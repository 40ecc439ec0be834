"""GAPNet and PermuteNet: classifiers that pool all positions (Islam et al., ICCV 2021)."""

import io
from contextlib import redirect_stderr
from typing import Annotated
from zlib import crc32

import torch
from jaxtyping import Float
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, fx, nn

from posinfo.choices import one_of
from posinfo.networks.architectures import IMAGE, OWN, ArchName, sketch_network
from posinfo.networks.blocks import as_maps, block_layers, is_channels_last, is_resnet, trace_blocks
from posinfo.networks.legal_size import LARGEST_IMAGE, TOO_SMALL, require_legal
from posinfo.networks.padding import PaddingName, repad
from posinfo.networks.permutation import ChannelPermutation, PermutationName
from posinfo.networks.weights import load_network

NETWORKS = ("gapnet", "permutenet")


def _has_weights(arch: str) -> str:
    if arch == IMAGE:
        raise ValueError("arch 'image' is no network: it has nothing to train before the head")
    return arch


class ClassifierConfig(BaseModel):
    """A backbone with one of the two heads.

    Attributes:
        network: one of ``NETWORKS``.
        arch: a classification network without its classifier, see
            ``posinfo.networks.architectures``.
        width: channels of the first stage of an arch of ``OWN``; None for other networks.
        padding: padding of every layer, a key of ``PADDINGS``.
        permutation: how channels are permuted, a key of ``PERMUTATIONS``.
        permuted_before: the stage of a ResNet before which channels are permuted, 1 to 4; None:
            after pooling, which only PermuteNet can.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: Annotated[str, one_of("network", NETWORKS)]
    arch: Annotated[ArchName, AfterValidator(_has_weights)]
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
        network = _assembled(self, classes=2, seed=0, image_size=side, sketch=True)

        def dry_run(size: int) -> None:
            with redirect_stderr(io.StringIO()):  # fx prints the traceback of what is raised
                network(torch.empty(2, 3, size, size, device="meta"))

        name = f"{self.network} of arch {self.full_arch!r} with padding {self.padding!r}"
        require_legal(dry_run, side, name, setting)


class PooledClassifier(nn.Module):
    """Feature maps and a head, with an average over all positions after either.

    Args:
        maps: maps images to the last feature maps of a network.
        head: leads from their channels to the classes.
    """

    def __init__(self, maps: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.maps = maps
        self.head = head


class GAPNet(PooledClassifier):
    """One map per class, averaged over all positions: the averages are the logits."""

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n k"]:
        """Logits."""
        return self.head(self.maps(images)).mean((2, 3))


class PermuteNet(PooledClassifier):
    """Maps averaged over all positions, their channels permuted, and a linear head.

    Args:
        maps: see ``PooledClassifier``.
        head: see ``PooledClassifier``.
        permutation: permutes the averages.
    """

    def __init__(self, maps: nn.Module, head: nn.Module, permutation: ChannelPermutation) -> None:
        super().__init__(maps, head)
        self.permutation = permutation

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n k"]:
        """Logits."""
        return self.head(self.permutation(self.maps(images).mean((2, 3))))


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
    return _assembled(config, classes, seed, image_size, sketch=False).train()


def _assembled(
    config: ClassifierConfig, classes: int, seed: int, image_size: int, *, sketch: bool
) -> nn.Module:
    permutation = ChannelPermutation(config.permutation, _drawn(seed))
    pooled = ChannelPermutation("none", 0) if config.permuted_before else permutation
    channels = _channels(config, image_size)
    maps = _maps(config, seed, image_size, permutation, sketch=sketch).requires_grad_(True)
    with torch.random.fork_rng(devices=[]), torch.device("meta" if sketch else "cpu"):
        torch.manual_seed(_drawn(seed))
        if config.network == "gapnet":
            head = nn.Sequential(nn.Conv2d(channels, classes, 3, padding=1))
            return GAPNet(maps, repad(head, config.padding))
        return PermuteNet(maps, nn.Linear(channels, classes), pooled)


def _maps(
    config: ClassifierConfig,
    seed: int,
    image_size: int,
    permutation: ChannelPermutation,
    *,
    sketch: bool,
) -> fx.GraphModule:
    """Maps images to the last feature maps; permutes channels before a stage where asked to."""
    arch = config.full_arch
    shapes = sketch_network(arch)
    # the paper's blocks of a ResNet begin with the stem, which is what stage 1 reads
    read = "paper" if config.permuted_before else "default"
    layers = block_layers(shapes, arch, read, image_size)
    network = shapes if sketch else load_network(arch, "untrained", seed)
    maps = repad(trace_blocks(network, layers), config.padding)
    assert isinstance(maps, fx.GraphModule)
    graph = maps.graph
    output = graph.output_node()
    blocks = output.args[0]
    assert isinstance(blocks, dict)
    nodes: list[fx.Node] = list(blocks.values())  # type: ignore[arg-type]
    if config.permuted_before:
        maps.add_submodule("permutation", permutation)
        before = nodes[config.permuted_before - 1]
        with graph.inserting_after(before):
            permuted = graph.call_module("permutation", (before,))
        before.replace_all_uses_with(permuted, lambda user: user not in (permuted, output))
    with graph.inserting_before(output):
        last = graph.call_function(as_maps, (nodes[-1], is_channels_last(arch)))
    output.args = (last,)
    graph.eliminate_dead_code()
    maps.recompile()
    return maps


def _channels(config: ClassifierConfig, image_size: int) -> int:
    """Channels of the last maps, also where the images are too small for the network."""
    sketch = fx.Interpreter(
        _maps(config, 0, image_size, ChannelPermutation("none", 0), sketch=True)
    )
    sketch.extra_traceback = False
    for size in (image_size, LARGEST_IMAGE):
        try:
            return sketch.run(torch.empty(1, 3, size, size, device="meta")).shape[1]
        except TOO_SMALL as error:
            refused = error
    raise ValueError(
        f"arch {config.full_arch!r} cannot take images of {image_size} px: {refused}"
    ) from refused


def _drawn(seed: int) -> int:
    """A seed for the head and the permutations, unlike the backbone's."""
    return crc32(f"head {seed}".encode())
