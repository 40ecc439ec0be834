"""Segmentation networks with a latent: torchvision's, and a small one made of its parts."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn
from torchvision.models import get_model, list_models, resnet50
from torchvision.models import segmentation as torchvision_segmentation
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.segmentation import DeepLabV3
from torchvision.models.segmentation.deeplabv3 import ASPP, DeepLabHead

from posinfo.choices import Section, one_of
from posinfo.networks.models.resnet18 import segmenter_resnet18
from posinfo.networks.models.state_file import fitting_state
from posinfo.networks.surgery.padding import PaddingName, repad

SMALL, RELEASED = "small_deeplab", "deeplabv3_resnet50_os16"
SMALL_RATES, SMALL_CHANNELS = (2, 4, 6), 32  # of the small head
RELEASED_RATES = (6, 12, 18)  # of the released code, at an output stride of 16
LATENT = "backbone.latent"


class SegmenterConfig(Section):
    """A segmentation network.

    Attributes:
        arch: a key of ``SEGMENTERS``.
        width: channels of the first stage of ``small_deeplab``; None for other networks.
        padding: of every layer, one of ``PADDINGS``.
        weights: path of a state dict with its head; empty: it is trained.
        planted: coordinate channels beside the latent of ``small_deeplab``, see ``Coordinates``.
    """

    arch: Annotated[str, one_of("arch", lambda: SEGMENTERS)]
    width: int | None = Field(ge=1)
    padding: PaddingName
    weights: str = Field(default="", exclude=True)
    planted: int = Field(ge=0)

    @model_validator(mode="after")
    def _fits_together(self) -> "SegmenterConfig":
        if (self.width is None) == (self.arch == SMALL):
            raise ValueError(f"width is a setting of {SMALL}, which needs one; got {self.width}")
        if self.planted and self.arch != SMALL:
            raise ValueError(f"planted is a setting of {SMALL}; got arch {self.arch!r}")
        return self

    @property
    def layer(self) -> str:
        """Name of the layer whose output is the latent that the head reads."""
        return SEGMENTERS[self.arch].layer


class Segmenter(NamedTuple):
    """How a segmentation network is built, and where its latent is.

    Attributes:
        build: function of the settings and the number of classes.
        layer: name of the latent layer.
    """

    build: Callable[[SegmenterConfig, int], nn.Module]
    layer: str


class Coordinates(nn.Module):
    """Adds channels that hold a place's distance to the left and, in turn, to the right edge.

    Distances are shares of the width to the power of 1, 1, 2, 2, 3, ...: the planted effect that
    a search for position channels must find.

    Args:
        channels: how many are added behind the others.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, maps: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h w"]:
        """The maps and, behind them, the coordinates."""
        count, _, height, width = maps.shape
        rising = (torch.arange(width, device=maps.device, dtype=maps.dtype) + 0.5) / width
        planted = [
            (1 - rising if index % 2 else rising) ** (1 + index // 2)
            for index in range(self.channels)
        ]
        ramps = torch.stack(planted)[None, :, None].expand(count, -1, height, -1)
        return torch.cat([maps, ramps], 1)


def build_segmenter(config: SegmenterConfig, classes: int, seed: int) -> nn.Module:
    """An untrained network in training mode that maps images to a dict with logits ``out``.

    Args:
        config: the network.
        classes: number of logits.
        seed: of its weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SEGMENTERS[config.arch].build(config, classes)
    return repad(network, config.padding).train()


def _small(config: SegmenterConfig, classes: int) -> nn.Module:
    """DeepLabV3 (Chen et al., 2017) on a narrow ResNet-18; total stride 8."""
    assert config.width is not None
    trunk = segmenter_resnet18(config.width)
    trunk.add_module("latent", Coordinates(config.planted) if config.planted else nn.Identity())
    channels = 8 * config.width + config.planted
    head = nn.Sequential(
        ASPP(channels, SMALL_RATES, SMALL_CHANNELS),
        nn.Conv2d(SMALL_CHANNELS, SMALL_CHANNELS, 3, padding=1, bias=False),
        nn.BatchNorm2d(SMALL_CHANNELS),
        nn.ReLU(),
        nn.Conv2d(SMALL_CHANNELS, classes, 1),
    )
    return DeepLabV3(IntermediateLayerGetter(trunk, {"latent": "out"}), head)


def load_segmenter(config: SegmenterConfig, classes: int) -> nn.Module:
    """A network with the weights of its file, in evaluation mode; see ``build_segmenter``.

    Files may be of torchvision's layout or of the released code's (``model_state`` with
    ``backbone.*`` and ``classifier.classifier.*``). An auxiliary head is left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read or does not fit, be it for another number of classes.
    """
    network = build_segmenter(config, classes, seed=0)
    expected = network.state_dict()
    network.load_state_dict(fitting_state(Path(config.weights), expected, frozenset(expected)))
    return network.eval()


def _released(config: SegmenterConfig, classes: int) -> nn.Module:
    """The attacked network of the paper's released code."""
    trunk = resnet50(weights=None, replace_stride_with_dilation=[False, False, True])
    head = DeepLabHead(2048, classes, RELEASED_RATES)
    return DeepLabV3(IntermediateLayerGetter(trunk, {"layer4": "out"}), head)


def _of_torchvision(config: SegmenterConfig, classes: int) -> nn.Module:
    return get_model(config.arch, weights=None, weights_backbone=None, num_classes=classes)


SEGMENTERS: dict[str, Segmenter] = {
    SMALL: Segmenter(_small, LATENT),
    RELEASED: Segmenter(_released, "backbone.layer4"),
    **{
        name: Segmenter(_of_torchvision, "backbone.layer4" if "resnet" in name else "backbone.16")
        for name in list_models(module=torchvision_segmentation)
    },
}
