"""Frozen networks whose feature maps are read (Islam et al., ICLR 2020, section 3.1)."""

import hashlib

import torch
from jaxtyping import Float, UInt8
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models import get_model
from torchvision.models.feature_extraction import create_feature_extractor

from posinfo.choices import check
from posinfo.networks.normalisation import normalise
from posinfo.networks.padding import PADDINGS, repad
from posinfo.networks.weights import check_source, load_network

IMAGE = "image"


class BackboneConfig(BaseModel):
    """One row of the backbone table.

    Attributes:
        arch: a key of ``BACKBONES``; ``image`` is no network at all: PosENet on the image alone.
        weights: ``untrained``, ``imagenet``, ``hed-bsds500``, or the path of a ``.safetensors``
            or ``.pth`` state dict; ``none`` for ``image``.
        padding: a key of ``PADDINGS``; ``none`` for ``image``.
        seed: of untrained weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    arch: str
    weights: str
    padding: str
    seed: int = Field(0, ge=0)

    @field_validator("arch")
    @classmethod
    def _known_arch(cls, arch: str) -> str:
        return check("arch", arch, BACKBONES)

    @field_validator("padding")
    @classmethod
    def _known_padding(cls, padding: str) -> str:
        return check("padding", padding, PADDINGS)

    @model_validator(mode="after")
    def _image_has_no_layers(self) -> "BackboneConfig":
        if self.arch == IMAGE and (self.weights, self.padding) != ("none", "none"):
            raise ValueError(
                "arch 'image' has no layers: weights and padding must be none; "
                f"got weights {self.weights!r}, padding {self.padding!r}"
            )
        return self

    def check_weights(self) -> None:
        """Raises what ``check_source`` raises, before anything is computed."""
        if self.arch != IMAGE:
            check_source(self.arch, self.weights)

    def feature_channels(self, image_size: int, feature_size: int) -> int:
        """Channels of all blocks together, found by a dry run.

        Raises:
            ValueError: the images are too small for the network.
        """
        with torch.device("meta"):
            network = nn.Identity() if self.arch == IMAGE else get_model(self.arch).eval()
            trunk = Backbone(_blocks_of(network, self), feature_size, "none")
            try:
                return trunk(torch.empty(1, 3, image_size, image_size, dtype=torch.uint8)).shape[1]
            except RuntimeError as error:
                raise ValueError(
                    f"images of {image_size} px are too small for arch {self.arch!r} with padding "
                    f"{self.padding!r}: {error}"
                ) from error


class Backbone(nn.Module):
    """A frozen network that maps images to its blocks, aligned and concatenated.

    Attributes:
        digest: changes whenever the weights, the blocks, the padding or the alignment do.
    """

    def __init__(self, blocks: nn.Module, feature_size: int, normalisation: str) -> None:
        super().__init__()
        self.blocks = blocks.eval().requires_grad_(False)
        self.feature_size = feature_size
        self.normalisation = normalisation
        self.digest = ""

    def forward(self, images: UInt8[Tensor, "n 3 h w"]) -> Float[Tensor, "n c s s"]:
        """Features of 8-bit RGB images, bilinearly resized as in the released code."""
        like = next(self.blocks.parameters(), torch.empty(0))
        maps = self.blocks(
            normalise(images, self.normalisation).to(like.dtype, memory_format=torch.channels_last)
        )
        size = (self.feature_size, self.feature_size)
        aligned = [
            interpolate(block, size, mode="bilinear", align_corners=True) for block in maps.values()
        ]
        return torch.cat(aligned, dim=1)


def build_backbone(config: BackboneConfig, feature_size: int, normalisation: str) -> Backbone:
    """The frozen network of a row.

    Args:
        config: architecture, weights and padding.
        feature_size: side in pixels to which every block's maps are resized.
        normalisation: a key of ``NORMALISATIONS``.

    Raises:
        FileNotFoundError, ValueError: the weights are missing or do not fit.
    """
    network = (
        nn.Identity()
        if config.arch == IMAGE
        else load_network(config.arch, config.weights, config.seed)
    )
    backbone = Backbone(_blocks_of(network, config), feature_size, normalisation)
    layers = BACKBONES[config.arch]
    settings = f"{config.arch} {layers} {config.padding} {feature_size} {normalisation}"
    backbone.digest = _digest(backbone, settings)
    return backbone


def _blocks_of(network: nn.Module, config: BackboneConfig) -> nn.Module:
    if config.arch == IMAGE:
        return _ImageAlone()
    return create_feature_extractor(repad(network, config.padding), BACKBONES[config.arch])


class _ImageAlone(nn.Module):
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {IMAGE: images}


def _digest(backbone: Backbone, settings: str) -> str:
    digest = hashlib.sha256(settings.encode())
    for name, tensor in backbone.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()[:16]


# Architecture: {layer: block}, low to high. VGG: the ReLU outputs before each pooling layer.
BACKBONES: dict[str, dict[str, str]] = {
    IMAGE: {},
    "vgg16": {
        "features.3": "f1",
        "features.8": "f2",
        "features.15": "f3",
        "features.22": "f4",
        "features.29": "f5",
    },
}
