"""What padding does to a map: the same pixels at the border of a crop and inside of a photograph.

A position readout says whether a linear map finds the border; this one says how much the border
changes what the network computes (the idea of PPP, arXiv 2206.01202, which compares such maps).
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Shaped
from scipy.stats import false_discovery_control, ttest_1samp
from torch import Tensor

from posinfo.networks.surgery.observed import Observed

FALSE_DISCOVERIES = 0.05
NOTHING = 1e-3  # of a channel's root mean square: less is no difference, but rounding


class ContextError(NamedTuple):
    """Of one map, for each image.

    Attributes:
        rings: error of each ring of pixels around the middle (n, r), the outermost first: root mean
            square difference of the two maps, as a share of the root mean square of the true one.
        border: for each channel, its mean on the outermost ring minus the true one, as a share of
            the channel's root mean square, of the true map or of this one, which is more (n, c).
        mean_map: mean over channels of the absolute values, as a share of their mean (n, h, w).
    """

    rings: Float[Tensor, "n r"]
    border: Float[Tensor, "n c"]
    mean_map: Float[Tensor, "n h w"]


def context_errors(
    observed: Observed,
    images: Float[Tensor, "n c h w"],
    context: int,
    strides: dict[str, int],
) -> dict[str, ContextError]:
    """The error of each map of a crop against the same pixels of the photograph around it.

    Args:
        observed: a network in evaluation mode.
        images: normalised photographs, of which the crop leaves out ``context`` on each side.
        context: in pixels, a multiple of every stride.
        strides: pixels of the image per pixel of the map, by name of the maps that are compared.
    """
    height, width = (side - 2 * context for side in images.shape[2:])
    crop = images[:, :, context : context + height, context : context + width]
    with torch.inference_mode():
        whole, cropped = observed(images), observed(crop.contiguous())
    errors = {}
    for name, stride in strides.items():
        maps, start = cropped[name].float(), context // stride
        rows, columns = maps.shape[2:]
        true = whole[name][:, :, start : start + rows, start : start + columns].float()
        errors[name] = _compared(maps, true)
    return errors


def _compared(maps: Float[Tensor, "n c h w"], true: Float[Tensor, "n c h w"]) -> ContextError:
    ring = rings(*maps.shape[2:]).to(maps.device)
    counts = torch.bincount(ring.flatten()).to(maps)
    squares = (maps - true).square().mean(1).flatten(1)  # (n, h * w)
    by_ring = torch.zeros(len(maps), len(counts), device=maps.device)
    by_ring.index_add_(1, ring.flatten(), squares)
    scale = true.square().mean((1, 2, 3), keepdim=True).sqrt()
    # of a channel that is dead inside of the picture, the border is all there is
    channel_scale = torch.maximum(*(each.square().mean((2, 3)).sqrt() for each in (true, maps)))
    outermost = ring == 0
    border = maps[:, :, outermost].mean(2) - true[:, :, outermost].mean(2)
    sizes = maps.abs().mean(1)
    return ContextError(
        rings=_share((by_ring / counts).sqrt(), scale[:, :, 0, 0]).cpu(),
        border=_share(border, channel_scale).cpu(),
        mean_map=_share(sizes, sizes.mean((1, 2), keepdim=True)).cpu(),
    )


def _share(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(part == 0, 0, part / whole)  # NaN stays NaN


def rings(height: int, width: int) -> Shaped[Tensor, "h w"]:
    """For each pixel, how many pixels lie between it and the nearest border; 0 at the border."""
    rows, columns = (torch.arange(side) for side in (height, width))
    return torch.minimum(
        torch.minimum(rows, height - 1 - rows)[:, None],
        torch.minimum(columns, width - 1 - columns)[None],
    )


def border_channels(differences: Float[np.ndarray, "p c"]) -> Float[np.ndarray, " c"]:
    """Which channels tell a border, 1 or 0 each.

    Student's t test of each channel over photographs, of which 5 % of those named are expected to
    be named in error (Benjamini and Hochberg, 1995), and at least .1 % of the channel's root mean
    square.

    Args:
        differences: ``ContextError.border``, the mean of each of p independent photographs; NaN is
            returned for a single one.
    """
    large = np.abs(differences.mean(0)) > NOTHING
    if len(differences) < 2:
        return np.full(differences.shape[1], np.nan)
    if not large.any():
        return np.zeros(differences.shape[1])
    chances = np.ones(differences.shape[1])
    varied = differences.std(0) > 0
    chances[varied] = np.asarray(ttest_1samp(differences[:, varied], 0))[1]
    chances[~varied & large] = 0.0
    return ((false_discovery_control(chances) < FALSE_DISCOVERIES) & large).astype(float)


def reach_of_error(rings: Float[np.ndarray, " r"], tolerance: float) -> int | None:
    """How many of the outer rings have to be left out for the rest to be right.

    Args:
        rings: error of each ring, the outermost first.
        tolerance: an error below it counts as right.

    Returns:
        0: none; None: the innermost one is wrong, too.
    """
    wrong = np.flatnonzero(~(rings < tolerance))
    if not len(wrong):
        return 0
    return None if wrong[-1] == len(rings) - 1 else int(wrong[-1]) + 1
