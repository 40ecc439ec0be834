"""Networks that are asked at which of two places something stands (Kayhan and van Gemert, 2020)."""

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from posinfo.choices import Section, one_of
from posinfo.networks.models.audited import AuditedConfig
from posinfo.networks.surgery.observed import OUTPUT, Observed

POOLINGS = ("max", "average")
PLACES = 2


class PlaceConfig(Section):
    """A network's last maps, pooled over all positions.

    Attributes:
        network: whose maps are read.
        pooling: ``max``, as in the released code for ResNet and BagNet, or ``average``.
        first_padding: pixels by which the first convolution pads; None: as built.
    """

    network: AuditedConfig
    pooling: Annotated[str, one_of("pooling", POOLINGS)]
    first_padding: int | None = Field(default=None, ge=0)


class PlaceClassifier(nn.Module):
    """Pooled maps and a linear layer.

    Args:
        observed: the network.
        pooling: one of ``POOLINGS``.
        image_size: side in pixels of images that it takes.
        seed: of the initial weights of the linear layer.
    """

    def __init__(self, observed: Observed, pooling: str, image_size: int, seed: int) -> None:
        super().__init__()
        self.observed, self.pooling = observed.eval(), pooling
        with torch.inference_mode():
            channels = self.features(torch.zeros(1, 3, image_size, image_size)).shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.head = nn.Linear(channels, PLACES)

    def features(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c"]:
        """The last maps, pooled."""
        found = self.observed(images)
        if found[OUTPUT].ndim != 4:  # logits
            del found[OUTPUT]
        maps = list(found.values())[-1].float()
        return maps.amax((2, 3)) if self.pooling == "max" else maps.mean((2, 3))

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 2"]:
        """Logits."""
        return self.head(self.features(images))


def build_place_classifier(config: PlaceConfig, image_size: int, seed: int) -> PlaceClassifier:
    """A network with its weights and a new linear layer, in evaluation mode.

    Args:
        config: the network.
        image_size: side of the images in pixels.
        seed: of the linear layer.

    Raises:
        FileNotFoundError, ValueError: see ``AuditedConfig.load``; a network without a convolution
            whose padding could be changed.
    """
    observed = config.network.load(image_size)
    if config.first_padding is not None:
        convolutions = [each for each in observed.modules() if isinstance(each, nn.Conv2d)]
        if not convolutions:
            raise ValueError(f"arch {config.network.arch!r} has no Conv2d that could pad")
        convolutions[0].padding = (config.first_padding, config.first_padding)
    return PlaceClassifier(observed, config.pooling, image_size, seed).eval()


@lru_cache(maxsize=256)
def saved_bytes(config: PlaceConfig, image_size: int) -> int:
    """What one image's maps take in memory until gradients are computed; on shapes alone.

    Args:
        config: the network.
        image_size: side of the image in pixels.
    """
    sizes: list[int] = []

    def pack(saved: Tensor) -> Tensor:
        sizes.append(saved.nbytes)
        return saved

    def run(network: nn.Module, images: Callable[[int], Tensor]) -> None:
        parameters = {id(each) for each in network.parameters()}
        with saved_tensors_hooks(lambda t: t if id(t) in parameters else pack(t), lambda t: t):
            network(images(image_size))

    config.network.on_shapes(run)
    return sum(sizes)
