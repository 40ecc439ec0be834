"""Features of a frozen backbone, computed once per image."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float16, UInt8
from torch import Tensor

from posinfo.networks.models.backbones import Backbone
from posinfo.work import Work

REPEATED = 2  # images that are shown twice
ROUNDING = 0.05  # of the largest feature, by which bfloat16 may differ from batch to batch


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
        ValueError: the network answers the same images differently the second time, or in another
            batch.
        UnwritableError: the disk has no room.
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
        alone = backbone(images[:1])
    _finite(first.to(torch.float16).cpu().numpy())
    rounding = ROUNDING * float(first.abs().max())
    # a GPU may add in another order; a CPU does not
    again = 0 if images.device.type == "cpu" else rounding
    if not torch.allclose(first, second, rtol=0, atol=again):
        raise ValueError(
            "the network answers the same images differently each time: it draws at random in its "
            "forward pass, or carries something over from the last one"
        )
    if not torch.allclose(first[:1], alone, rtol=0, atol=rounding):
        raise ValueError(
            "the network answers an image differently in other company: it normalises over a batch "
            "(BatchNorm without running statistics, for one)"
        )
    pairs = zip(before, backbone.buffers(), strict=True)
    if not all(torch.allclose(old, new, rtol=0, atol=0, equal_nan=True) for old, new in pairs):
        raise ValueError("the network changes its buffers in its forward pass, in evaluation mode")


def _finite(features: np.ndarray) -> np.ndarray:
    if not np.isfinite(features).all():
        raise OverflowError(
            "a feature is not a number or beyond the 65504 of float16: "
            "check posenet.normalisation and the weights (an untrained deep ResNet grows beyond it)"
        )
    return features
