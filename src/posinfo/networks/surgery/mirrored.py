"""A network that sees the world mirrored."""

import copy

import torch
from torch import nn


def with_mirrored_kernels(network: nn.Module) -> nn.Module:
    """A copy whose convolutions have their kernels mirrored left to right.

    Given the mirror image, it answers with the mirrored maps of the network itself, as long as
    every layer pads and strides alike on both sides. What is uneven stays where it was, and so
    does what no kernel holds, such as planted coordinates.

    Args:
        network: any network; it stays as it is.
    """
    mirrored = copy.deepcopy(network)
    with torch.no_grad():
        for module in mirrored.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.copy_(module.weight.flip(3))
    return mirrored
