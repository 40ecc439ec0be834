"""AugShift and its baselines (Islam et al., ICCV 2021, experiment 2): networks and losses."""

from collections.abc import Callable
from typing import Annotated, NamedTuple

import torch
from jaxtyping import Float, Int64
from pydantic import AfterValidator, Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from posinfo.choices import Section, check, one_of
from posinfo.networks.models.resnet18 import cifar_resnet18
from posinfo.networks.models.shift_invariant import blur_strides, pad_fully

LOSSES = ("mean", "sum")

Labels = Int64[Tensor, " n"]


def in_order(method: str) -> str:
    """A method with its parts in the order of ``METHODS``, in which networks are changed.

    Args:
        method: keys of ``METHODS`` joined by ``+``.

    Raises:
        ValueError: a part is unknown or named twice, or two of them are ways to train.
    """
    names = [check("method", name, METHODS) for name in method.split("+")]
    crops = [name for name in names if METHODS[name].change is None]
    if len(set(names)) < len(names) or len(crops) > 1:
        raise ValueError(
            f"method {method!r}: each may be named once, and one of "
            f"{', '.join(name for name in METHODS if METHODS[name].change is None)} at most"
        )
    return "+".join(sorted(names, key=list(METHODS).index))


MethodName = Annotated[str, AfterValidator(in_order)]


class AugShiftConfig(Section):
    """The network and the loss.

    Attributes:
        method: keys of ``METHODS`` joined by ``+``; at most one of them is a way to train.
        width: channels of the first stage of the ResNet-18.
        latent_weight: weight of the mean squared difference of the two latents (lambda).
        loss: how the cross entropies of two crops are joined: ``mean``, or ``sum`` as drawn on the
            poster, which doubles the effective learning rate.
    """

    method: MethodName
    width: int = Field(ge=1)
    latent_weight: float = Field(ge=0, allow_inf_nan=False)
    loss: Annotated[str, one_of("loss", LOSSES)]

    @property
    def parts(self) -> list["Method"]:
        """The entries of ``METHODS`` that are joined."""
        return [METHODS[name] for name in self.method.split("+")]

    @property
    def crops(self) -> int:
        """Number of crops of each image in each step: 1 or 2."""
        return max(part.crops for part in self.parts)

    @property
    def uses_latents(self) -> bool:
        """Whether the loss draws the latents of the two crops together."""
        return any(part.latents for part in self.parts)


class LatentClassifier(nn.Module):
    """Maps, global average pooling, and a linear layer.

    Args:
        maps: maps images to feature maps.
        channels: number of channels of these maps.
        classes: number of logits.
    """

    def __init__(self, maps: nn.Module, channels: int, classes: int) -> None:
        super().__init__()
        self.maps = maps
        self.head = nn.Linear(channels, classes)

    def latents(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c"]:
        """Maps averaged over all positions, in float32 whatever the maps are in."""
        return self.maps(images).float().mean((2, 3))

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n k"]:
        """Logits."""
        return self.classify(self.latents(images))

    def classify(self, latents: Float[Tensor, "n c"]) -> Float[Tensor, "n k"]:
        """Logits of latents, in float32: rounded ones would tie."""
        with torch.autocast(latents.device.type, enabled=False):
            return self.head(latents)


class Method(NamedTuple):
    """A way to train, or a change of the network.

    Attributes:
        crops: number of crops of each image in each step.
        latents: whether the loss draws the latents of two crops together.
        change: changes the network in place; None: the method is a way to train.
    """

    crops: int = 1
    latents: bool = False
    change: Callable[[nn.Module], None] | None = None


def build_latent_classifier(config: AugShiftConfig, classes: int, seed: int) -> LatentClassifier:
    """An untrained ResNet-18 for 32 px images with the changes of a method.

    Args:
        config: the method and the width.
        classes: number of logits.
        seed: seed of the initial weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        maps = cifar_resnet18(config.width)
        for part in METHODS.values():  # in the order of the table
            if part.change is not None and part in config.parts:
                part.change(maps)
        return LatentClassifier(maps, 8 * config.width, classes)


def augshift_loss(
    network: LatentClassifier,
    views: list[Float[Tensor, "n 3 h w"]],
    labels: Labels,
    config: AugShiftConfig,
) -> Float[Tensor, ""]:
    """Cross entropy of each view, and the distance of the latents of the first two.

    Args:
        network: the classifier, in training mode.
        views: one or two crops of the same images.
        labels: class of each image.
        config: weights of the parts of the loss.
    """
    latents = network.latents(torch.cat(views))
    entropies = cross_entropy(network.classify(latents), labels.repeat(len(views)))
    loss = entropies * (len(views) if config.loss == "sum" else 1)
    if config.uses_latents:
        first, second = latents.chunk(2)
        loss = loss + config.latent_weight * mse_loss(first, second)
    return loss


METHODS: dict[str, Method] = {
    "baseline": Method(),
    "two_crops": Method(crops=2),  # the control: both crops are classified, latents are free
    "augshift": Method(crops=2, latents=True),
    "fconv": Method(change=pad_fully),
    "blurpool": Method(change=blur_strides),
}
