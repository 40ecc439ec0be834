"""A segmentation network without some of the channels of its latent, region by region.

Islam et al., ICCV 2021, experiment 3. Each image passes the backbone once; only what follows the
latent runs again for each set of channels, and one prediction serves all regions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float, Int64
from pydantic import AfterValidator
from torch import Tensor, nn

from posinfo.measures.segmentation import PixelCounter
from posinfo.networks.surgery.ablation import without_channels
from posinfo.networks.surgery.resumable import Resumable
from posinfo.networks.training.segmentation import LabelledPixels, logits_of
from posinfo.work import Work


def _is_box(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ValueError(
            "a region is left, top, right and bottom in shares of width and height, 0 to 1; "
            f"got {list(box)}"
        )
    return box


Box = Annotated[tuple[float, float, float, float], AfterValidator(_is_box)]
"""Left, top, right and bottom of a part of an image, in shares of its width and height."""


@dataclass(frozen=True)
class Attack:
    """A set of channels to silence.

    Attributes:
        channels: their indices.
        to_mean: whether they become their mean, not 0.
    """

    channels: Int64[Tensor, " _"]
    to_mean: bool = False


def attack(
    network: nn.Module,
    layer: str,
    data: LabelledPixels,
    attacks: Sequence[Attack],
    *,
    means: Float[Tensor, " c"],
    regions: Mapping[str, Box],
    classes: int,
    groups: int,
    work: Work,
) -> Int64[Tensor, "a g r k k"]:
    """Confusion matrices of a network under each attack.

    Args:
        network: in evaluation mode, on ``work.device``.
        layer: whose output is the latent.
        data: images and labels.
        attacks: the sets of channels.
        means: what silenced channels become where their mean is asked for.
        regions: parts of the images that are scored apart.
        classes: number of them.
        groups: the images are dealt to so many groups, which are counted apart; neighbours, which
            may show the same street, to one group.
        work: its ``dtype`` is that of the forward pass; ``on_progress`` counts images.

    Returns:
        Pixels by attack, group, region, right and predicted class, on the CPU.

    Raises:
        ValueError: fewer images than groups, a region without a pixel, labels or logits of other
            classes.
    """
    resumable = Resumable(network, layer)
    shape = len(attacks), groups, len(regions), classes, classes
    counts = torch.zeros(shape, dtype=torch.long, device=data.device)
    count = len(data.pixels)
    if groups > count:
        raise ValueError(f"{count} images cannot be dealt to {groups} groups")
    parts, inside = (part.to(data.device) for part in region_parts(data.labels.shape[1:], regions))
    for batch in data.batches():
        labels = data.targets(batch)
        counter = PixelCounter(labels, classes, parts)
        group = torch.arange(batch.start, batch.stop, device=labels.device) * groups // count
        with torch.no_grad(), work.autocast():  # no tensors of inference mode: see Resumable
            latent = resumable.start(data.images(batch))
            for each, counted in zip(attacks, counts, strict=True):
                values = means.to(latent) if each.to_mean else 0.0
                output = resumable.finish(without_channels(latent, each.channels, values))
                predictions = logits_of(output, classes).float().argmax(1)
                of_parts = counter.count(predictions).float()  # exact up to 16 million pixels
                of_regions = torch.einsum("npij,rp->nrij", of_parts, inside)
                counted.index_add_(0, group, of_regions.long())
        work.on_progress(batch.stop - batch.start)
    return counts.cpu()


def region_parts(
    size: Sequence[int], regions: Mapping[str, Box]
) -> tuple[Int64[Tensor, "h w"], Float[Tensor, "r p"]]:
    """The parts of an image that no border of a region cuts, and which regions hold which part.

    Args:
        size: height and width of the image in pixels.
        regions: by name.

    Returns:
        The part that each pixel belongs to, and 1 where a region holds a part, 0 elsewhere.

    Raises:
        ValueError: a region without a pixel.
    """
    masks = torch.zeros(len(regions), *size, dtype=torch.long)
    for mask, (name, box) in zip(masks, regions.items(), strict=True):
        left, top, right, bottom = box
        rows = slice(round(top * size[0]), round(bottom * size[0]))
        mask[rows, round(left * size[1]) : round(right * size[1])] = 1
        if not mask.any():
            raise ValueError(f"region {name!r} has no pixel in images of {size[0]} x {size[1]} px")
    inside, part = masks.flatten(1).unique(dim=1, return_inverse=True)
    return part.view(*size), inside.float()
