"""From predicted maps to the rows of a result table."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from posinfo.measures.metrics import constant_floor, mean_absolute_error, spearman
from posinfo.networks.readouts.feature_array import FeatureArray
from posinfo.networks.readouts.upsampled_loss import upsample
from posinfo.work import silent

BATCH_SIZE = 16
STUCK = 0.95  # of a target's variance

Head = tuple[str, int]
"""The pattern that a readout was trained on, and its seed."""


def predict(
    readouts: nn.Module, features: FeatureArray, device: torch.device
) -> Iterable[Float[Tensor, "k g g"]]:
    """The maps of every head, image after image, computed in float32 and returned on the CPU.

    Args:
        readouts: in evaluation mode on ``device``.
        features: shape (n, s, s, c), as they are cached.
        device: computes.
    """
    for start in range(0, len(features), BATCH_SIZE):
        batch = torch.from_numpy(features[slice(start, start + BATCH_SIZE)]).to(device)
        with torch.inference_mode():
            maps = readouts(batch.float().permute(0, 3, 1, 2)).cpu()
        yield from maps


def score_images(
    maps: Iterable[Float[Tensor, "k g g"]],
    masks: Float[Tensor, "k h w"],
    on_progress: Callable[[int], object] = silent,
) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]:
    """SPC and MAE of every head on every image, at the resolution of the masks.

    Args:
        maps: the predictions of all heads for each image.
        masks: ground truth of each head.
        on_progress: called after each batch with the number of its images.

    Returns:
        SPC, NaN where the prediction is constant, and MAE.
    """
    left, scores = iter(maps), []
    while batch := list(islice(left, BATCH_SIZE)):
        of_heads = zip(torch.stack(batch, dim=1), masks, strict=True)
        scores.append(torch.stack([_score(*of_head) for of_head in of_heads], dim=2))
        on_progress(len(batch))
    spc, mae = torch.cat(scores, dim=1)
    return spc, mae


def stuck(errors: Float[Tensor, " k"], targets: Float[Tensor, "k h w"]) -> Bool[Tensor, " k"]:
    """Which readouts stay at the constant map, on the very images that they were trained on.

    Args:
        errors: mean squared error of each readout at the end of its training.
        targets: what each was trained on.

    Returns:
        True where at least 95 % of the target's variance, which is the error of the best constant,
        are left. Where features say nothing of position, that is the right answer.
    """
    return errors >= STUCK * targets.flatten(1).var(dim=1, correction=0)


def image_rows(
    names: Sequence[tuple[str, str]],
    heads: Sequence[Head],
    spc: Float[Tensor, "n k"],
    mae: Float[Tensor, "n k"],
) -> pd.DataFrame:
    """A row for each head on each image.

    Args:
        names: stimulus and photograph of each image.
        heads: pattern and seed of each head.
        spc: of each image and head.
        mae: of each image and head.

    Returns:
        Columns ``pattern, seed, stimulus, photograph, spc, mae``.
    """
    keys = [(*head, *name) for name in names for head in heads]
    frame = pd.DataFrame(keys, columns=["pattern", "seed", "stimulus", "photograph"])
    return frame.assign(spc=spc.flatten().numpy(), mae=mae.flatten().numpy())


def watch_maps(
    maps: Iterable[Float[Tensor, "k g g"]],
    photographs: int,
    heads: Mapping[str, int],
    masks: Mapping[str, Float[Tensor, "h w"]],
    kept: dict[str, Tensor],
) -> Iterator[Float[Tensor, "k g g"]]:
    """The maps themselves; on the way, what figures show of the photographs is kept.

    Args:
        maps: the predictions of all heads for each image.
        photographs: how many of the first images are photographs.
        heads: by pattern, the index of the head that figures show.
        masks: ground truth by pattern.
        kept: gets ``map.PATTERN`` of the first photograph, and ``error.PATTERN``, the absolute
            error of each pixel, averaged over photographs; both (h, w).
    """
    for number, predictions in enumerate(maps):
        for pattern, head in heads.items() if number < photographs else ():
            height, width = masks[pattern].shape
            full = upsample(predictions[head], (height, width))
            error = (full - masks[pattern]).abs() / photographs
            kept.setdefault(f"map.{pattern}", full)
            kept[f"error.{pattern}"] = kept.get(f"error.{pattern}", 0) + error
        yield predictions


def summarise_images(images: pd.DataFrame, masks: dict[str, Float[Tensor, "h w"]]) -> pd.DataFrame:
    """One row per cell and seed: means over images.

    Args:
        images: what ``image_rows`` returns, with a column ``cell`` before the others.
        masks: ground truth by pattern; any draw of a control, since all have the same values.

    Returns:
        Columns ``cell, pattern, stimulus, seed, spc, mae, floor, skill, n, n_constant``.
        A constant prediction counts as SPC 0 and is counted in ``n_constant``;
        ``floor`` is the MAE of the best constant, ``skill`` is 1 - MAE / floor and ``n`` the number
        of images.
    """
    cells = images.groupby(["cell", "pattern", "stimulus", "seed"], sort=False)
    scores = cells.agg(
        spc=("spc", lambda spc: spc.fillna(0).mean()),
        mae=("mae", "mean"),
        n=("mae", "size"),
        n_constant=("spc", lambda spc: int(spc.isna().sum())),
    ).reset_index()
    floors = {pattern: constant_floor(mask) for pattern, mask in masks.items()}
    scores.insert(6, "floor", scores.pattern.map(floors))
    scores.insert(7, "skill", 1 - scores.mae / scores.floor)
    return scores


def _score(predictions: Float[Tensor, "b g g"], mask: Float[Tensor, "h w"]) -> Float[Tensor, "2 b"]:
    full = upsample(predictions, (mask.shape[0], mask.shape[1]))
    return torch.stack([spearman(full, mask), mean_absolute_error(full, mask)])
