"""Segmentation networks with a latent: torchvision's, and a small one made of its parts."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple

import torch
from jaxtyping import Float
from pydantic import AfterValidator, Field, model_validator
from torch import Tensor, nn
from torchvision.models import get_model, list_models, resnet50
from torchvision.models import segmentation as torchvision_segmentation
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.segmentation import DeepLabV3
from torchvision.models.segmentation.deeplabv3 import ASPP, DeepLabHead

from posinfo.choices import Section, check
from posinfo.networks.models.architectures import build_network, check_arch, is_custom
from posinfo.networks.models.efficientnet_lite import ARCH as LITE0_ARCH
from posinfo.networks.models.efficientnet_lite import COLOURS as LITE0_COLOURS
from posinfo.networks.models.normalisation import Colours
from posinfo.networks.models.resnet18 import segmenter_resnet18
from posinfo.networks.models.weights import load_network
from posinfo.networks.surgery.layer_names import require_layer
from posinfo.networks.surgery.padding import PaddingName, repad

SMALL, LITE, RELEASED = "small_deeplab", "lite0_deeplab", "deeplabv3_resnet50_os16"
LITE_STAGES, LITE_CHANNELS = 5, 112  # of EfficientNet-Lite0, at a stride of 16
SMALL_RATES, SMALL_CHANNELS = (2, 4, 6), 32  # of the small head
RELEASED_RATES = (6, 12, 18)  # of the released code, at an output stride of 16
LATENT = "backbone.latent"


def _check_segmenter(arch: str) -> str:
    if is_custom(arch):
        return check_arch(arch)
    return check("arch", arch, [*SEGMENTERS, "package.module:function"])


class SegmenterConfig(Section):
    """A segmentation network.

    Attributes:
        arch: a key of ``SEGMENTERS``, or ``package.module:function``: a function that takes no
            arguments and returns a network.
        width: channels of the first stage of ``small_deeplab``; other networks have none.
        padding: of every layer, one of ``PADDINGS``.
        weights: see ``posinfo.networks.models.segmenter_weights``; empty: it is trained.
        planted: coordinate channels beside the latent of ``small_deeplab``, see ``Coordinates``.
        layer: name of the layer whose output is the latent; empty: the one of the arch.
    """

    arch: Annotated[str, AfterValidator(_check_segmenter)]
    width: int | None = Field(ge=1)
    padding: PaddingName
    weights: str = Field(default="", exclude=True)
    planted: int = Field(ge=0)
    layer: str = ""

    @model_validator(mode="before")
    @classmethod
    def _of_this_arch(cls, values: Any) -> Any:
        """A setting that a network does not have is none of its settings."""
        if isinstance(values, Mapping) and values.get("arch") != SMALL:
            return {**values, "width": None}
        return values

    @model_validator(mode="after")
    def _fits_together(self) -> "SegmenterConfig":
        if self.arch == SMALL and self.width is None:
            raise ValueError(f"arch {SMALL!r} needs a width")
        if self.planted and self.arch != SMALL:
            raise ValueError(f"planted is a setting of {SMALL}; got arch {self.arch!r}")
        if is_custom(self.arch) and not self.layer:
            raise ValueError(f"arch {self.arch!r} needs a layer, the name of its latent")
        return self

    @property
    def latent(self) -> str:
        """Name of the layer whose output is the latent that the head reads."""
        return self.layer or SEGMENTERS[self.arch].layer

    @property
    def colours(self) -> Colours | None:
        """See ``Segmenter``."""
        return None if is_custom(self.arch) else SEGMENTERS[self.arch].colours


class Segmenter(NamedTuple):
    """How a segmentation network is built, and where its latent is.

    Attributes:
        build: function of the settings and the number of classes.
        layer: name of the latent layer.
        colours: that a pretrained trunk expects; None: those of the images it is trained on.
    """

    build: Callable[[SegmenterConfig, int], nn.Module]
    layer: str
    colours: Colours | None = None


class Pretrained(nn.Module):
    """A trunk that is not trained: its batch norms, too, stay as they are.

    Args:
        trunk: with its weights.
    """

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk.requires_grad_(requires_grad=False).eval()

    def train(self, mode: bool = True) -> "Pretrained":
        """The trunk evaluates in either mode."""
        super().train(mode)
        self.trunk.eval()
        return self

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c a b"]:
        """What the trunk answers."""
        return self.trunk(images)


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
    """A network before its training; it maps images to logits, or to a dict with them as ``out``.

    Args:
        config: the network.
        classes: number of logits; a function of the user's own has those that it has.
        seed: of its weights.

    Raises:
        ValueError: it has no layer of the latent's name.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if is_custom(config.arch):
            network = build_network(config.arch)
        else:
            network = SEGMENTERS[config.arch].build(config, classes)
    require_layer(network, config.latent, f"arch {config.arch!r}")
    return repad(network, config.padding).train()


def _small(config: SegmenterConfig, classes: int) -> nn.Module:
    """DeepLabV3 (Chen et al., 2017) on a narrow ResNet-18; total stride 8."""
    assert config.width is not None
    trunk = segmenter_resnet18(config.width)
    trunk.add_module("latent", Coordinates(config.planted) if config.planted else nn.Identity())
    head = _small_head(8 * config.width + config.planted, classes)
    return DeepLabV3(IntermediateLayerGetter(trunk, {"latent": "out"}), head)


def _lite(config: SegmenterConfig, classes: int) -> nn.Module:
    """The small head on EfficientNet-Lite0 as it was trained on ImageNet, images twice as large.

    So its latent, at a stride of 16, is as large as that of the small network.
    """
    lite = load_network(LITE0_ARCH, "efficientnet-lite0")
    stem, norm, blocks = (getattr(lite, name) for name in ("conv_stem", "bn1", "blocks"))
    twice = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    trunk = Pretrained(nn.Sequential(twice, stem, norm, *blocks[:LITE_STAGES]))
    backbone = nn.Sequential()
    backbone.add_module("pretrained", trunk)
    backbone.add_module("latent", nn.Identity())
    backbone = IntermediateLayerGetter(backbone, {"latent": "out"})
    return DeepLabV3(backbone, _small_head(LITE_CHANNELS, classes))


def _small_head(channels: int, classes: int) -> nn.Module:
    return nn.Sequential(
        ASPP(channels, SMALL_RATES, SMALL_CHANNELS),
        nn.Conv2d(SMALL_CHANNELS, SMALL_CHANNELS, 3, padding=1, bias=False),
        nn.BatchNorm2d(SMALL_CHANNELS),
        nn.ReLU(),
        nn.Conv2d(SMALL_CHANNELS, classes, 1),
    )


def _released(config: SegmenterConfig, classes: int) -> nn.Module:
    """The attacked network of the paper's released code."""
    trunk = resnet50(weights=None, replace_stride_with_dilation=[False, False, True])
    head = DeepLabHead(2048, classes, RELEASED_RATES)
    return DeepLabV3(IntermediateLayerGetter(trunk, {"layer4": "out"}), head)


def _of_torchvision(config: SegmenterConfig, classes: int) -> nn.Module:
    return get_model(config.arch, weights=None, weights_backbone=None, num_classes=classes)


SEGMENTERS: dict[str, Segmenter] = {
    SMALL: Segmenter(_small, LATENT),
    LITE: Segmenter(_lite, LATENT, LITE0_COLOURS),
    RELEASED: Segmenter(_released, "backbone.layer4"),
    **{
        name: Segmenter(_of_torchvision, "backbone.layer4" if "resnet" in name else "backbone.16")
        for name in list_models(module=torchvision_segmentation)
    },
}
