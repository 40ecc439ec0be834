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
from posinfo.networks.surgery.padding import AS_BUILT
from posinfo.work import CPU

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
        device = next(observed.parameters()).device
        with torch.inference_mode():
            image = torch.zeros(1, 3, image_size, image_size, device=device)
            channels = self.features(image).shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.head = nn.Linear(channels, PLACES).to(device)

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


def build_place_classifier(
    config: PlaceConfig, image_size: int, seed: int, device: torch.device = CPU
) -> PlaceClassifier:
    """A network with its weights and a new linear layer, in evaluation mode.

    Args:
        config: the network.
        image_size: side of the images in pixels.
        seed: of the linear layer.
        device: holds it.

    Raises:
        FileNotFoundError, ValueError: see ``AuditedConfig.load`` and ``pad_first``.
    """
    observed = config.network.load(image_size).to(device)
    pad_first(observed, config)
    return PlaceClassifier(observed, config.pooling, image_size, seed).eval()


def pad_first(network: nn.Module, config: PlaceConfig) -> None:
    """Give the first convolution the padding of the configuration, in place, if it has one.

    Raises:
        ValueError: the network has no convolution that would heed it, or pads in another way.
    """
    if config.first_padding is None:
        return
    convolutions = [each for each in network.modules() if isinstance(each, nn.Conv2d)]
    arch, padding = config.network.arch, config.network.padding
    if not convolutions or type(convolutions[0]) is not nn.Conv2d:
        raise ValueError(
            f"arch {arch!r}: its first convolution pads in its own way: a released border, which "
            "is that of the first convolution, cannot be given to it; take border: black"
        )
    if padding not in (AS_BUILT, "zero"):
        raise ValueError(f"a released border is of zeros; got padding {padding!r}")
    convolutions[0].padding = (config.first_padding, config.first_padding)


def needed_bytes(config: PlaceConfig, image_size: int, images: int, *, trained: bool) -> int:
    """What maps take in memory, at least; on shapes alone.

    Args:
        config: the network.
        image_size: side of the images in pixels.
        images: that are computed at once.
        trained: whether maps are kept for gradients; otherwise the largest one counts, twice.
    """
    one = config.network.of_any_seed()
    sizes = _map_bytes(config.model_copy(update={"network": one}), image_size)  # type: ignore[arg-type]
    return images * (sum(sizes) if trained else 2 * max(sizes))


@lru_cache(maxsize=256)
def _map_bytes(config: PlaceConfig, image_size: int) -> tuple[int, ...]:
    sizes: dict[int, int] = {}
    kept: list[Tensor] = []  # or another would have the identity of one that is gone

    def run(network: nn.Module, images: Callable[[int], Tensor]) -> None:
        pad_first(network, config)
        parameters = {id(each) for each in network.parameters()}

        def pack(saved: Tensor) -> Tensor:
            if id(saved) not in parameters:
                kept.append(saved)
                sizes[id(saved)] = saved.nbytes
            return saved

        with saved_tensors_hooks(pack, lambda saved: saved):
            network(images(image_size))

    config.network.on_shapes(run)
    return tuple(sizes.values())
