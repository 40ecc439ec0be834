"""Any network of images, as an audit sees it: a part of it, its layers and its output."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

import torch
from pydantic import ConfigDict, Field
from torch import Tensor, nn

from posinfo.choices import Section, Seed
from posinfo.networks.models.architectures import NetworkName, sketch_network, user_modules
from posinfo.networks.models.normalisation import Colours
from posinfo.networks.models.weights import (
    check_source,
    load_network,
    own_colours,
    weights_key,
)
from posinfo.networks.surgery.blocks import Blocks, block_layers, is_channels_last
from posinfo.networks.surgery.dry_run import dry_run
from posinfo.networks.surgery.layer_names import require_layer
from posinfo.networks.surgery.legal_size import require_legal
from posinfo.networks.surgery.observed import OUTPUT, Observed
from posinfo.networks.surgery.padding import AS_BUILT, PaddingName, repad

T = TypeVar("T")

UNNAMED = ":"  # in place of an arch: of a part nothing is known by the name of the whole


class AuditedConfig(Section):
    """A network and what of it is audited.

    Attributes:
        arch: see ``posinfo.networks.models.architectures``.
        weights: see ``check_source``.
        padding: one of ``PADDINGS``.
        part: name of a layer that is audited in place of the whole network, such as the
            ``backbone`` of a detector; empty: the whole.
        output: see ``Observed``.
        layers: whose maps are measured, see ``block_layers``.
        seed: of untrained weights.
    """

    arch: NetworkName
    weights: str
    padding: PaddingName = AS_BUILT
    part: str = ""
    output: str = ""
    layers: Blocks = "default"
    seed: Seed = 0

    @property
    def modules(self) -> tuple[str, ...]:
        """See ``user_modules``."""
        return user_modules(self.arch)

    def key(self, setting: str) -> str:
        """See ``weights_key``."""
        return weights_key(self.arch, self.weights, setting)

    @property
    def colours(self) -> Colours | None:
        """See ``own_colours``."""
        return own_colours(self.arch, self.weights)

    def check(self, image_size: int) -> None:
        """Whether the network takes such images and returns what can be audited; on shapes alone.

        Args:
            image_size: side of the images in pixels.

        Raises:
            FileNotFoundError, ValueError: weights that are missing or do not fit, images that are
                too small, an unknown part or layer, no such output, or one that is neither logits
                (n, k) nor maps (n, c, h, w).
        """
        check_source(self.arch, self.weights, _tensors_of_part(self.arch, self.part))
        _require_legal(self.of_any_seed(), image_size)  # type: ignore[arg-type]

    def observed(self, network: nn.Module, image_size: int) -> Observed:
        """What is audited of a network of this architecture.

        Args:
            network: the whole.
            image_size: side of the images in pixels; default layers may depend on it.
        """
        layers = find_audited_layers(self.of_any_seed(), image_size)  # type: ignore[arg-type]
        part = self.part_of(network)
        last = is_channels_last(network, self.arch)
        return Observed(repad(part, self.padding), layers, self.output, last)

    def part_of(self, network: nn.Module) -> nn.Module:
        """The part of the whole network; a ``ValueError`` if it has no such layer."""
        if not self.part:
            return network
        require_layer(network, self.part, f"part: arch {self.arch!r}")
        return network.get_submodule(self.part)

    def load(self, image_size: int) -> Observed:
        """The network with its weights, in evaluation mode.

        Args:
            image_size: see ``observed``.

        Raises:
            FileNotFoundError: there are no such weights.
            ValueError: they do not fit, or the part has layers for which there are none.
        """
        observed = self.observed(load_network(self.arch, self.weights, self.seed), image_size)
        empty = [name for name, tensor in observed.network.named_parameters() if tensor.is_meta]
        if empty:
            raise ValueError(
                f"weights {self.weights!r} come without those of {empty[0]!r}: "
                "name a `part` of the network that has none of it"
            )
        return observed

    def on_shapes(self, run: Callable[[nn.Module, Callable[[int], Tensor]], T]) -> T:
        """The result of a function of the untrained part, and of a maker of images by their side.

        Both are on the meta device, where it will do, see ``dry_run``.
        """

        def of(network: nn.Module, images: Tensor) -> T:
            part = repad(self.part_of(network), self.padding)
            return run(part, lambda side: images.new_zeros(1, 3, side, side))

        return dry_run(self.arch, 1, of)

    def of_any_seed(self) -> "AuditedConfig":
        """The same with seed 0: networks that differ in their seeds alone have the same shapes."""
        return self.model_copy(update={"seed": 0})


class GivenNetwork(AuditedConfig):
    """A network that is there already; see ``given``.

    Attributes:
        module: the network, in evaluation mode on one device; it is not changed.
        given_colours: see ``own_colours``.
        channels_last: whether its layers return (n, h, w, c).
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    module: nn.Module = Field(exclude=True)
    given_colours: Colours | None = Field(exclude=True)
    channels_last: bool = Field(exclude=True)

    @property
    def modules(self) -> tuple[str, ...]:
        """None: nothing of it is kept in a store."""
        return ()

    def key(self, setting: str) -> str:
        """Empty, for the same reason."""
        return ""

    @property
    def colours(self) -> Colours | None:
        """Mean and standard deviation of the images that it expects; None: ImageNet's."""
        return self.given_colours

    def check(self, image_size: int) -> None:
        """See ``AuditedConfig.check``; on an image of zeros."""
        training = [name for name, module in self.module.named_modules() if module.training]
        if training:
            raise ValueError("the network is in training mode: call its eval()")
        places = {str(tensor.device) for tensor in self.module.state_dict().values()}
        if len(places) > 1:
            raise ValueError(f"the network lies on several devices: {', '.join(sorted(places))}")
        # on a copy alone: some networks keep a tensor of their first call, and could be trained no
        # more if it were one of inference mode
        copy = self.load(image_size)
        with torch.inference_mode():
            require_answer(copy(self._image(image_size).float())[OUTPUT])

    def load(self, image_size: int) -> Observed:
        """A copy."""
        image = self._image(image_size)
        layers = block_layers(self.module, image, UNNAMED, self.layers, itself=False)
        network = repad(self.module, self.padding).float()
        return Observed(network, layers, self.output, self.channels_last)

    def on_shapes(self, run: Callable[[nn.Module, Callable[[int], Tensor]], T]) -> T:
        """See ``AuditedConfig.on_shapes``; on the network's own device."""
        return run(self.module, self._image)

    def _image(self, side: int) -> Tensor:
        like = next(self.module.parameters(), torch.zeros(()))
        return torch.zeros(1, 3, side, side, device=like.device, dtype=like.dtype)


def given(
    network: nn.Module,
    output: str = "",
    layers: Blocks = "default",
    colours: Colours | None = None,
    channels_last: bool = False,
) -> GivenNetwork:
    """A network that is there already, as an audit takes it.

    Args:
        network: in evaluation mode.
        output: see ``Observed``.
        layers: see ``block_layers``.
        colours: mean and standard deviation of the images that it expects, in [0, 1]; None:
            ImageNet's.
        channels_last: whether its layers return (n, h, w, c), as those of a Swin do.
    """
    return GivenNetwork.model_construct(
        arch=type(network).__qualname__, weights="its own", padding=AS_BUILT, part="",
        output=output, layers=layers, seed=0, module=network, given_colours=colours,
        channels_last=channels_last,
    )  # fmt: skip


@lru_cache(maxsize=256)
def _tensors_of_part(arch: str, part: str) -> frozenset[str]:
    """Names of the parameters and buffers of a part of a network; empty: of the whole."""
    inside = f"{part}." if part else ""
    return frozenset(name for name in sketch_network(arch).state_dict() if name.startswith(inside))


@lru_cache(maxsize=256)
def _require_legal(config: AuditedConfig, image_size: int) -> None:
    def observe(network: nn.Module, images: Tensor) -> None:
        require_answer(config.observed(network, image_size)(images)[OUTPUT])

    name = f"arch {config.arch!r} with padding {config.padding!r}"
    require_legal(lambda size: dry_run(config.arch, size, observe), image_size, name, "image_size")


@lru_cache(maxsize=256)
def find_audited_layers(config: AuditedConfig, image_size: int) -> tuple[str, ...]:
    """The layers whose maps are measured; see ``block_layers`` for errors."""
    arch = UNNAMED if config.part else config.arch

    def found(network: nn.Module, images: Tensor) -> tuple[str, ...]:
        part = config.part_of(network)
        return tuple(block_layers(part, images, arch, config.layers, itself=False))

    return dry_run(config.arch, image_size, found)


def require_answer(output: Tensor) -> None:
    """Refuse an output that is neither logits (n, k) nor maps (n, c, h, w)."""
    classes = output.ndim == 2 and output.shape[1] > 1  # of one alone there is nothing to choose
    if not (classes or output.ndim == 4) or not output.is_floating_point():
        raise ValueError(
            "the output must be logits (n, k), k > 1, or maps (n, c, h, w) of floats; got "
            f"{str(output.dtype).removeprefix('torch.')} of shape {tuple(output.shape)}: name "
            "another in `output`, or a `part` of the network"
        )


def require_numbers(measured: Mapping[str, Tensor], photographs: Sequence[str]) -> None:
    """Refuse a network that gives a photograph no number.

    Args:
        measured: by name, maps or what was computed of them, an image after the other.
        photographs: that the images show.

    Raises:
        ValueError: one is NaN; the message names it and the photograph.
    """
    for name, each in measured.items():
        for photograph, of_image in zip(photographs, each, strict=True):
            if of_image.isnan().any():
                raise ValueError(f"{name} is no number for {photograph}: check weights and input")
