"""Small convolutional classifiers of several seeds in one network, which share only their images.

A convolution with as many groups as seeds computes each of them as if it were alone, so that ten
networks cost far less than ten trainings.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from posinfo.choices import Section, one_of
from posinfo.networks.surgery.padding import AS_BUILT, PADDINGS, repad

FULL = "full"
CONVOLUTION_PADDINGS = (*(name for name in PADDINGS if name != AS_BUILT), FULL)


class ConvNetConfig(Section):
    """Convolutions without bias, each followed by ReLU; global max-pooling; a linear layer.

    Attributes:
        channels: of the output of each convolution.
        strides: of each convolution.
        kernel_size: of all of them, odd.
        padding: a key of ``PADDINGS``, by half of the kernel; ``none`` is the papers' V-Conv and
            ``zero`` their S-Conv. ``full``: zeros of the kernel's size less one, their F-Conv.
    """

    channels: Annotated[tuple[int, ...], Field(min_length=1)]
    strides: tuple[int, ...]
    kernel_size: int = Field(ge=1)
    padding: Annotated[str, one_of("padding", CONVOLUTION_PADDINGS)]

    @model_validator(mode="after")
    def _fits_together(self) -> "ConvNetConfig":
        if len(self.channels) != len(self.strides):
            raise ValueError(f"channels {self.channels} and strides {self.strides} must be as many")
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd; got {self.kernel_size}")
        return self


class StackedConvNets(nn.Module):
    """k classifiers, each of its own seed.

    Args:
        config: of each of them.
        inputs: channels of the images.
        classes: number of logits.
        seeds: of the initial weights, which are those of PyTorch's own initialisation.
    """

    def __init__(
        self, config: ConvNetConfig, inputs: int, classes: int, seeds: Sequence[int]
    ) -> None:
        super().__init__()
        self.count = len(seeds)
        built = [_layers(config, inputs, classes, seed) for seed in seeds]
        layers: list[nn.Module] = []
        by_layer = zip(*(convolutions for convolutions, _ in built), strict=True)
        for index, alike in enumerate(by_layer):
            layers += [_joined(alike, grouped=index > 0), nn.ReLU()]
        maps = nn.Sequential(*layers)
        self.maps = maps if config.padding == FULL else repad(maps, config.padding)
        self.weight = nn.Parameter(torch.stack([head.weight.detach() for _, head in built]))
        self.bias = nn.Parameter(torch.stack([head.bias.detach() for _, head in built]))

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k f"]:
        """The maximum of each channel over all positions."""
        return self.maps(images).amax((2, 3)).unflatten(1, (self.count, -1))

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k classes"]:
        """Logits of each classifier."""
        return torch.einsum("nkf,kcf->nkc", self.features(images), self.weight) + self.bias


def _layers(
    config: ConvNetConfig, inputs: int, classes: int, seed: int
) -> tuple[list[nn.Conv2d], nn.Linear]:
    """One classifier's."""
    side = config.kernel_size
    padding = side - 1 if config.padding == FULL else side // 2
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        convolutions = []
        for channels, stride in zip(config.channels, config.strides, strict=True):
            convolutions.append(nn.Conv2d(inputs, channels, side, stride, padding, bias=False))
            inputs = channels
        return convolutions, nn.Linear(config.channels[-1], classes)


def _joined(layers: Sequence[nn.Conv2d], *, grouped: bool) -> nn.Conv2d:
    """One convolution in place of several; the first of a network reads the same images for all."""
    like, count = layers[0], len(layers)
    joined = nn.Conv2d(
        like.in_channels * (count if grouped else 1),
        like.out_channels * count,
        like.kernel_size,  # type: ignore[arg-type]
        like.stride,  # type: ignore[arg-type]
        like.padding,  # type: ignore[arg-type]
        groups=count if grouped else 1,
        bias=False,
    )
    with torch.no_grad():
        joined.weight.copy_(torch.cat([layer.weight for layer in layers]))
    return joined
