"""Features of a frozen backbone: computed once per image and read from disk ever after."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
import torch

from posinfo.array_cache import ArrayCache
from posinfo.networks.backbones import Backbone
from posinfo.progress import OnProgress, silent
from posinfo.stimuli.image_set import ImageSet


def batch_size(device: torch.device) -> int:
    """Images per forward pass: on a CPU few, so that their maps stay in memory already touched."""
    return 8 if device.type == "cpu" else 64


@dataclass(frozen=True)
class FeatureJob:
    """One backbone to be run over one set of images.

    Attributes:
        backbone: the frozen network.
        images: shown to it in batches.
        channels: of the features, see ``BackboneConfig.feature_channels``.
        device: computes.
        precision: of the forward pass.
    """

    backbone: Backbone
    images: ImageSet
    channels: int
    device: torch.device
    precision: torch.dtype

    @property
    def key(self) -> str:
        """The name of these features in the cache: it changes whenever they would."""
        release = torch.__version__.replace("+", "-")
        how = f"{str(self.precision).removeprefix('torch.')}-{self.device.type}-{release}"
        return f"features-{self.backbone.digest}-{self.images.key}-{how}"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Images, rows, columns and channels."""
        side = self.backbone.feature_size
        return len(self.images), side, side, self.channels

    @property
    def bytes(self) -> int:
        """Size of the features as float16."""
        return 2 * prod(self.shape)

    def done(self, cache: ArrayCache) -> bool:
        """Whether the cache has them."""
        return cache.path(self.key).exists()


def extract_features(
    job: FeatureJob, cache: ArrayCache, on_progress: OnProgress = silent
) -> np.ndarray:
    """Features of a set of images, from the cache or else computed.

    Args:
        job: what to compute; its backbone is left on the job's device in its precision.
        cache: keeps the features.
        on_progress: called with the number of images done.

    Returns:
        The memory-mapped float16 features, shape (n, s, s, c).

    Raises:
        OverflowError: a feature does not fit float16.
        OSError: the disk has no room.
    """

    def batches() -> Iterator[np.ndarray]:
        backbone = job.backbone.to(job.device, job.precision)
        backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        size = batch_size(job.device)
        for start in range(0, len(job.images), size):
            with torch.inference_mode():
                features = backbone(job.images.batch(start, size).to(job.device))
            yield _finite(features.to(torch.float16).permute(0, 2, 3, 1).cpu().numpy())
            on_progress(len(features))

    return cache.get(job.key, job.shape, np.float16, batches)


def _finite(features: np.ndarray) -> np.ndarray:
    if not np.isfinite(features).all():
        raise OverflowError(
            "a feature is not a number or beyond the 65504 of float16: "
            "check posenet.normalisation and the weights (an untrained deep ResNet grows beyond it)"
        )
    return features
