"""From predicted maps to the rows of a result table."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from posinfo.measures.metrics import constant_floor, mean_absolute_error, spearman
from posinfo.networks.feature_array import FeatureArray
from posinfo.networks.upsampled_loss import upsample
from posinfo.work import silent

BATCH_SIZE = 16

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
    names: Sequence[tuple[str, str]],
    heads: Sequence[Head],
    masks: dict[str, Float[Tensor, "h w"]],
    on_progress: Callable[[int], object] = silent,
) -> pd.DataFrame:
    """SPC and MAE of every head on every image, at the resolution of the masks.

    Args:
        maps: the predictions of all heads for each image.
        names: stimulus and photograph of each image.
        heads: pattern and seed of each head.
        masks: ground truth by pattern.
        on_progress: called after each image.

    Returns:
        Columns ``pattern, seed, stimulus, photograph, spc, mae``; ``spc`` is NaN where the
        prediction is constant.
    """
    patterns = list(dict.fromkeys(pattern for pattern, _ in heads))
    columns = {p: [i for i, (pattern, _) in enumerate(heads) if pattern == p] for p in patterns}
    height, width = next(iter(masks.values())).shape
    rows = []
    for predictions, (stimulus, photograph) in zip(maps, names, strict=True):
        full = upsample(predictions, (height, width))
        for pattern in patterns:
            mask, shown = masks[pattern], full[columns[pattern]]
            seeds = (heads[column][1] for column in columns[pattern])
            measured = zip(
                seeds,
                spearman(shown, mask).tolist(),
                mean_absolute_error(shown, mask).tolist(),
                strict=True,
            )
            rows += [(pattern, seed, stimulus, photograph, spc, mae) for seed, spc, mae in measured]
        on_progress(1)
    return pd.DataFrame(rows, columns=["pattern", "seed", "stimulus", "photograph", "spc", "mae"])


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
        images: what ``score_images`` returns, with a column ``cell`` before the others.
        masks: ground truth by pattern.

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
