"""Small convolutional classifiers of several seeds in one network, which share only their images.

On a GPU all of them are computed at once; what that saves is the time between computations, of
which a CPU has none.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn, vmap
from torch.func import functional_call, stack_module_state

from posinfo.choices import Section, one_of
from posinfo.networks.surgery.padding import AS_BUILT, PADDINGS, repad

FULL, SEPARATOR = "full", "_of_"
ONE_BY_ONE = "cpu"  # type of the device on which that is faster
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


class ConvNet(nn.Module):
    """One classifier, with the weights of PyTorch's own initialisation.

    Args:
        config: its layers.
        inputs: channels of the images.
        classes: number of logits.
        seed: of the weights.
    """

    def __init__(self, config: ConvNetConfig, inputs: int, classes: int, seed: int) -> None:
        super().__init__()
        side, layers = config.kernel_size, []
        padding = side - 1 if config.padding == FULL else side // 2
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for channels, stride in zip(config.channels, config.strides, strict=True):
                layers.append(nn.Conv2d(inputs, channels, side, stride, padding, bias=False))
                layers.append(nn.ReLU())
                inputs = channels
            self.head = nn.Linear(inputs, classes)
        maps = nn.Sequential(*layers)
        self.maps = maps if config.padding == FULL else repad(maps, config.padding)

    def forward(
        self, images: Float[Tensor, "n c h w"]
    ) -> tuple[Float[Tensor, "n f"], Float[Tensor, "n k"]]:
        """Features, which are the maximum of each channel over all positions, and logits."""
        features = self.maps(images).amax((2, 3))
        return features, self.head(features)


class StackedConvNets(nn.Module):
    """Several classifiers, each of its own seed; every parameter has them along its first axis.

    Args:
        config: of each of them.
        inputs: channels of the images.
        classes: number of logits.
        seeds: of the initial weights.

    Attributes:
        count: how many they are.
    """

    def __init__(
        self, config: ConvNetConfig, inputs: int, classes: int, seeds: Sequence[int]
    ) -> None:
        super().__init__()
        self.count = len(seeds)
        networks: list[nn.Module] = [ConvNet(config, inputs, classes, seed) for seed in seeds]
        parameters, _ = stack_module_state(networks)
        for name, parameter in parameters.items():
            self.register_parameter(name.replace(".", SEPARATOR), nn.Parameter(parameter))
        self._like = [networks[0].to("meta")]  # in a list, or its parameters would be ours

    def forward(
        self, images: Float[Tensor, "n c h w"]
    ) -> tuple[Float[Tensor, "n s f"], Float[Tensor, "n s k"]]:
        """Features and logits of each classifier."""
        named = {
            name.replace(SEPARATOR, "."): parameter for name, parameter in self.named_parameters()
        }

        def of_one(weights: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
            return functional_call(self._like[0], dict(weights), (images,))

        if images.device.type != ONE_BY_ONE:
            return vmap(of_one, out_dims=1)(named)
        # one by one, maps stay in the cache: in half the time of all together
        by_seed = zip(*(parameter.unbind() for parameter in named.values()), strict=True)
        found = [of_one(dict(zip(named, weights, strict=True))) for weights in by_seed]
        features, logits = zip(*found, strict=True)
        return torch.stack(features, 1), torch.stack(logits, 1)
