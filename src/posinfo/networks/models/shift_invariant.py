"""Strides and padding that make a ResNet less sensitive to shifts."""

from collections import OrderedDict
from collections.abc import Callable

import torch
from timm.layers.blur_pool import BlurPool2d
from torch import nn
from torchvision.models.resnet import BasicBlock

from posinfo.networks.models.resnet18 import WIDTH, cifar_resnet18

STRIDED = 2


def blur_strides(network: nn.Module) -> None:
    """Blur with Tri-3 before every subsampling by two (Zhang, ICML 2019), in place.

    A strided 3 x 3 convolution becomes one of stride 1, and the maps are blurred and subsampled
    after its ReLU, as in the reference. The filter has no weights and pads by reflection.

    Args:
        network: a ResNet of ``posinfo.networks.models.resnet18``.
    """
    for block in _blocks(network):
        if block.conv1.stride != (STRIDED, STRIDED):
            continue
        block.conv1.stride = (1, 1)
        # without its number of channels, torch.fx cannot trace it
        blur = BlurPool2d(block.conv1.out_channels, stride=STRIDED)
        block.conv2 = nn.Sequential(blur, block.conv2)  # type: ignore
        assert isinstance(block.downsample, nn.Sequential)
        block.downsample.every_other = BlurPool2d(block.conv1.in_channels, stride=STRIDED)


def pad_fully(network: nn.Module) -> None:
    """Full convolution (Kayhan and van Gemert, CVPR 2020), in place: F-Conv.

    Every convolution pads by its kernel less one, so that each of its weights meets each pixel, and
    maps grow. Shortcuts are padded by zeros to the size of what they are added to; a max-pool of
    the network has 2 px and no padding, as in the released code.

    Sums over all positions are blind to where an object stands while its background is 0 in every
    layer, as it is before training. A trained batch norm gives the background another value, and
    padding by 0 is then a border: its influence is, as a rule, less than that of ordinary zero
    padding, and it is not gone.

    Args:
        network: a ResNet of ``posinfo.networks.models``, before ``blur_strides``.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.padding = tuple(side - 1 for side in layer.kernel_size)  # type: ignore
    for name, layer in network.named_children():
        if isinstance(layer, nn.MaxPool2d):
            setattr(network, name, nn.MaxPool2d(2))
    # its weights have the names and shapes of the network without: neither may take the other's
    network.register_buffer("padded_fully", torch.tensor(True))
    for block in _blocks(network):
        if block.downsample is None:
            block.downsample = nn.ZeroPad2d(2)
        else:
            assert isinstance(block.downsample, nn.Sequential)
            layers = [("padded", nn.ZeroPad2d(3)), *block.downsample.named_children()]
            block.downsample = nn.Sequential(OrderedDict(layers))


def blurred_resnet18(width: int = WIDTH) -> nn.Module:
    """``cifar_resnet18`` after ``blur_strides``."""
    network = cifar_resnet18(width)
    blur_strides(network)
    return network


def fully_padded(build: Callable[[int], nn.Module], width: int = WIDTH) -> nn.Module:
    """A network after ``pad_fully``.

    Args:
        build: makes a ResNet of ``posinfo.networks.models`` of a width.
        width: channels of its first stage.
    """
    network = build(width)
    pad_fully(network)
    return network


def _blocks(network: nn.Module) -> list[BasicBlock]:
    return [module for module in network.modules() if isinstance(module, BasicBlock)]
