"""Agreement of a predicted map with the ground truth (Islam et al., ICLR 2020, section 3.2)."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

# Features are kept as float16, so equal ones may differ by 5e-4 of their value; that moves a map in
# [0, 1] by 1e-6 to 1e-5, and ranking it would be ranking rounding errors.
CONSTANT_RANGE = 1e-4


def spearman(
    predictions: Float[Tensor, "*n h w"], target: Float[Tensor, "h w"]
) -> Float[Tensor, "*n"]:
    """SPC: Spearman's rank correlation over the pixels of each map, ties sharing their mean rank.

    Args:
        predictions: any number of maps.
        target: the map to compare each of them with.

    Returns:
        Correlations in [-1, 1]; NaN where the prediction is constant: its range is at most 1e-4.

    Raises:
        FloatingPointError: a prediction is not finite.
    """
    reference = _centred_ranks(target.flatten().cpu().numpy())
    reference /= _norm(reference)

    def correlate(values: np.ndarray) -> float:
        if np.ptp(values) <= CONSTANT_RANGE:
            return np.nan
        ranks = _centred_ranks(values)
        return float(_dot(ranks, reference) / _norm(ranks))

    return _of_each_map(correlate, predictions)


def mean_absolute_error(
    predictions: Float[Tensor, "*n h w"], target: Float[Tensor, "h w"]
) -> Float[Tensor, "*n"]:
    """MAE over the pixels of each map, in the target's units.

    Raises:
        FloatingPointError: a prediction is not finite.
    """
    reference = target.flatten().cpu().numpy()
    return _of_each_map(
        lambda values: float(np.abs(values - reference).mean(dtype=np.float64)), predictions
    )


def constant_floor(target: Float[Tensor, "h w"]) -> float:
    """The MAE of the best constant prediction, which is the target's median."""
    exact = target.double().flatten()
    return (exact - exact.quantile(0.5)).abs().mean().item()


def _of_each_map(measure: Callable[[np.ndarray], float], predictions: Tensor) -> Tensor:
    height, width = predictions.shape[-2:]
    maps = predictions.reshape(-1, height * width)
    if wrong := int((~maps.isfinite()).any(1).sum()):  # ranks would make a number of it
        raise FloatingPointError(f"{wrong} of {len(maps)} predicted maps are not finite")
    values = [measure(pixels) for pixels in maps.cpu().numpy()]
    return torch.tensor(values, dtype=torch.float64).view(predictions.shape[:-2])


def _centred_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks minus their mean: scipy.stats.rankdata at a third of its time, which is most of SPC."""
    order = values.argsort()
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    counts = np.diff(starts, append=len(values))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(starts + (counts - len(values)) / 2, counts)
    return ranks


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    return np.einsum("i,i->", a, b)  # BLAS would spin up threads for every map


def _norm(values: np.ndarray) -> float:
    return _dot(values, values) ** 0.5
