"""Features of a frozen backbone, computed once per image."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float16, UInt8
from torch import Tensor

from posinfo.networks.backbones import Backbone
from posinfo.work import Work

REPEATED = 2  # images that are shown twice


def batch_size(device: torch.device) -> int:
    """Images per forward pass: on a CPU few, so that their maps stay in memory already touched."""
    return 8 if device.type == "cpu" else 64


def extract_features(
    backbone: Backbone, pixels: UInt8[np.ndarray, "n 3 h w"], channels: int, work: Work
) -> Float16[np.ndarray, "n s s c"]:
    """Features of a set of images.

    Args:
        backbone: the frozen network; it is left on the device in the precision of the work.
        pixels: RGB values 0..255; may be memory-mapped.
        channels: of the features, of all blocks together.
        work: computes, holds the array ``features`` and is told of each finished image.

    Returns:
        The features as float16, memory-mapped where the work has a folder.

    Raises:
        OverflowError: a feature does not fit float16.
        ValueError: the network answers the same images differently the second time.
        OSError: the disk has no room.
    """
    backbone.to(work.device, work.dtype)
    backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    size = batch_size(work.device)
    _require_repeatable(backbone, torch.from_numpy(np.array(pixels[:REPEATED])).to(work.device))

    def batches() -> Iterator[np.ndarray]:
        for start in range(0, len(pixels), size):
            images = torch.from_numpy(np.array(pixels[start : start + size]))
            with torch.inference_mode():
                features = backbone(images.to(work.device))
            yield _finite(features.to(torch.float16).permute(0, 2, 3, 1).cpu().numpy())
            work.on_progress(len(features))

    work.on_total(len(pixels))
    side = backbone.feature_size
    return work.array("features", (len(pixels), side, side, channels), np.float16, batches())


def _require_repeatable(backbone: Backbone, images: UInt8[Tensor, "n 3 h w"]) -> None:
    """Features are computed once and kept: they may depend on nothing but images and weights."""
    before = [buffer.clone() for buffer in backbone.buffers()]
    with torch.inference_mode():
        first, second = backbone(images), backbone(images)
    # a GPU may add in another order; a CPU does not
    tolerance = 0 if images.device.type == "cpu" else 1e-2 * float(first.abs().max())
    if not torch.allclose(first, second, rtol=0, atol=tolerance, equal_nan=True):
        raise ValueError(
            "the network answers the same images differently each time: it draws at random in its "
            "forward pass, or carries something over from the last one"
        )
    if not all(map(torch.equal, before, backbone.buffers())):
        raise ValueError("the network changes its buffers in its forward pass, in evaluation mode")


def _finite(features: np.ndarray) -> np.ndarray:
    if not np.isfinite(features).all():
        raise OverflowError(
            "a feature is not a number or beyond the 65504 of float16: "
            "check posenet.normalisation and the weights (an untrained deep ResNet grows beyond it)"
        )
    return features
