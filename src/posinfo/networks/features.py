"""Features of a frozen backbone: computed once per image and read from disk ever after."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from posinfo.array_cache import ArrayCache
from posinfo.networks.backbones import Backbone
from posinfo.progress import OnProgress, silent
from posinfo.stimuli.image_set import ImageSet

BATCH_SIZE = 16


def features_key(backbone: Backbone, images: ImageSet, precision: torch.dtype) -> str:
    """The name under which these features are cached: it changes whenever they would."""
    release = torch.__version__.replace("+", "-")
    name = str(precision).removeprefix("torch.")
    return f"features-{backbone.digest}-{images.key}-{name}-{release}"


def extract_features(
    backbone: Backbone,
    images: ImageSet,
    cache: ArrayCache,
    *,
    channels: int,
    device: torch.device,
    precision: torch.dtype,
    on_progress: OnProgress = silent,
) -> str:
    """Run a backbone over a set of images, unless the cache has the result already.

    Args:
        backbone: the frozen network; it is left on ``device`` in ``precision``.
        images: shown to it in batches.
        cache: receives the float16 features, shape (n, s, s, c).
        channels: of the features, see ``BackboneConfig.feature_channels``.
        device: computes.
        precision: of the forward pass.
        on_progress: called with the number of images done.

    Returns:
        The key of the features in the cache.

    Raises:
        OverflowError: a feature does not fit float16.
        OSError: the disk has no room.
    """
    key = features_key(backbone, images, precision)
    side = backbone.feature_size

    def batches() -> Iterator[np.ndarray]:
        backbone.to(device, precision, memory_format=torch.channels_last)
        for start in range(0, len(images), BATCH_SIZE):
            with torch.inference_mode():
                features = backbone(images.batch(start, BATCH_SIZE).to(device))
            yield _as_float16(features).permute(0, 2, 3, 1).cpu().numpy()
            on_progress(len(features))

    cache.get(key, (len(images), side, side, channels), np.dtype(np.float16), batches)
    return key


def _as_float16(features: Tensor) -> Tensor:
    half = features.to(torch.float16)
    if not half.isfinite().all():
        raise OverflowError(
            f"features reach {features.abs().max().item():.3g}, beyond the 65504 of float16: "
            "check the weights and posenet.normalisation"
        )
    return half
