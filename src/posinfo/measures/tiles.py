"""How far two tiles differ from the whole image, by the pixels that they share.

An image is cut in the middle into two tiles, and each gets a margin beyond the cut. Their maps are
put together at the cut again and compared with the map of the whole image.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from posinfo.networks.surgery.image_statistics import ImageStatistics
from posinfo.networks.surgery.observed import Observed


class SeamError(NamedTuple):
    """Of each image, by margin; infinite where tiles without padding leave a gap at the cut.

    Attributes:
        error: (n, m): root mean square difference in the worst column of the map, as a share of the
            root mean square of the whole image's map.
        same_statistics: the same where tiles are normalised and pooled by what the network averages
            over the whole image, see ``ImageStatistics``.
        seam: (n, m): the same as ``error`` in the two columns at the cut alone.
        classes: (n, m): share of pixels with another largest channel than the whole image has.
    """

    error: Float[Tensor, "n m"]
    same_statistics: Float[Tensor, "n m"]
    seam: Float[Tensor, "n m"]
    classes: Float[Tensor, "n m"]


def seam_errors(
    observed: Observed,
    images: Float[Tensor, "n c h w"],
    name: str,
    stride: int,
    margins: Sequence[int],
) -> SeamError:
    """The error of two tiles put together, for several margins.

    Args:
        observed: a network in evaluation mode.
        images: normalised; half of their width is a multiple of the largest stride of all maps.
        name: of the map that is compared, a layer or ``output``.
        stride: of this map, in pixels of the image.
        margins: pixels beyond the cut that each tile gets, multiples of the largest stride of all
            maps, up to half the width. Neighbouring tiles overlap by twice as much.
    """
    cut = images.shape[3] // 2
    with torch.inference_mode():
        with ImageStatistics() as statistics:
            whole = observed(images)[name].float()
        plain, own = [], []
        for margin in margins:
            sides = images[..., : cut + margin], images[..., cut - margin :]
            for kept, errors in ((None, plain), (statistics.kept, own)):
                if kept == []:  # nothing is averaged over the image
                    continue
                left, right = (_map_of(observed, tile, name, kept) for tile in sides)
                columns = cut // stride
                parts = left[..., :columns], right[..., margin // stride :]
                errors.append(_differences(torch.cat(parts, 3), whole, columns))
    error, seam, classes = (torch.stack(each, 1).cpu() for each in zip(*plain, strict=True))
    same = torch.stack([each[0] for each in own], 1).cpu() if own else error
    return SeamError(error, same, seam, classes)


def _map_of(
    observed: Observed, tile: Tensor, name: str, kept: list[tuple[Tensor, ...]] | None
) -> Tensor:
    with ImageStatistics(kept):
        return observed(tile.contiguous())[name].float()


def _differences(tiled: Tensor, whole: Tensor, cut: int) -> tuple[Tensor, Tensor, Tensor]:
    if tiled.shape != whole.shape:
        gap = torch.full((len(whole),), torch.inf, device=whole.device)
        return gap, gap, gap
    scale = whole.square().mean((1, 2, 3)).sqrt()
    columns = (tiled - whole).square().mean((1, 2)).sqrt()  # (n, w)
    share = torch.where(columns == 0, 0, columns / scale[:, None])  # NaN stays NaN
    other = (tiled.argmax(1) != whole.argmax(1)).float().mean((1, 2))
    return share.amax(1), share[:, cut - 1 : cut + 1].amax(1), other


def margin_for(
    margins: Sequence[int], errors: Float[np.ndarray, " m"], tolerance: float
) -> int | None:
    """The smallest margin from which on the error stays below a tolerance.

    Args:
        margins: in ascending order, in pixels.
        errors: of each.
        tolerance: the error that is allowed.

    Returns:
        In pixels; None: the error of the largest margin is above.
    """
    wrong = np.flatnonzero(~(errors < tolerance))
    if not len(wrong):
        return margins[0]
    return None if wrong[-1] == len(margins) - 1 else margins[wrong[-1] + 1]
