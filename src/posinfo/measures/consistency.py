"""Shift consistency of a classifier, exact and sampled, from one prediction per offset.

Everything here reads a table of predictions, shape (n, k, k): the class that each of n images is
given at each of k x k offsets. Nothing is computed by a network again.
"""

from collections.abc import Callable
from math import nan

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

SAMPLING_SEED = 0  # of the pairs of offsets of the sampled consistency

Predictions = Int64[Tensor, "n k k"]
Labels = Int64[Tensor, " n"]


def exact_consistency(predictions: Predictions) -> float:
    """Probability that two independent offsets give the same class, averaged over images.

    The offsets are uniform over the table and may be equal, as in Zhang (ICML 2019), whose sampled
    figure estimates this one: the sum over classes of the squared share of offsets that predict
    it. In [1 / k**2, 1].
    """
    flat = predictions.flatten(1)
    counts = torch.zeros(len(flat), 1 + int(flat.max()), dtype=torch.float64)
    counts.scatter_add_(1, flat, torch.ones(flat.shape, dtype=torch.float64))
    return (counts / flat.shape[1]).square().sum(1).mean().item()


def right_in_the_middle(predictions: Predictions, labels: Labels) -> Bool[Tensor, " n"]:
    """Whether an image is classified rightly at the middle offset, see ``agreement_by_offset``."""
    return _in_the_middle(predictions) == labels


def consistency_of_right(predictions: Predictions, labels: Labels) -> float:
    """``exact_consistency`` of the images that are ``right_in_the_middle``; NaN if none is.

    Networks of unequal accuracy are compared by it: a wrong answer is often one that wavers, so
    that a network which is right more often is more consistent over all images for that alone.
    """
    right = right_in_the_middle(predictions, labels)
    return exact_consistency(predictions[right]) if right.any() else nan


def sampled_consistency(predictions: Predictions, draws: int, generator: torch.Generator) -> float:
    """Share of agreeing pairs of offsets, drawn for each image independently (Zhang, ICML 2019).

    Args:
        predictions: see above.
        draws: pairs per image.
        generator: draws the offsets, uniformly and with replacement.
    """
    flat = predictions.flatten(1)
    pairs = torch.randint(flat.shape[1], (2, len(flat), draws), generator=generator)
    first, second = (flat.gather(1, offsets) for offsets in pairs)
    return (first == second).double().mean().item()


def diagonal_accuracy(predictions: Predictions, labels: Labels) -> float:
    """Accuracy over the offsets of the main diagonal (Kayhan and van Gemert, CVPR 2020)."""
    diagonal = predictions.diagonal(dim1=1, dim2=2)
    return (diagonal == labels[:, None]).double().mean().item()


def worst_case_accuracy(predictions: Predictions, labels: Labels) -> float:
    """Share of images that are classified rightly at every offset."""
    return (predictions.flatten(1) == labels[:, None]).all(1).double().mean().item()


def agreement_by_offset(predictions: Predictions) -> Float[Tensor, "k k"]:
    """Share of images whose class at an offset is that in the middle.

    Where images are padded, the middle is the image itself; of an even number of offsets, the
    first of the two.
    """
    return (predictions == _in_the_middle(predictions)[:, None, None]).double().mean(0)


def consistency_measures(predictions: Predictions, labels: Labels, draws: int) -> dict[str, float]:
    """What a table of predictions says.

    Returns:
        Every measure of ``METRICS``, ``consistency_sampled`` from so many pairs per image, and
        ``n_right``, the number of images that ``consistency_right`` is the mean of.
    """
    generator = torch.Generator().manual_seed(SAMPLING_SEED)
    sampled = sampled_consistency(predictions, draws, generator)
    exact = {name: metric(predictions, labels) for name, metric in METRICS.items()}
    n_right = int(right_in_the_middle(predictions, labels).sum())
    return {"consistency_sampled": sampled, **exact, "n_right": n_right}


def _in_the_middle(predictions: Predictions) -> Labels:
    middle = (predictions.shape[1] - 1) // 2
    return predictions[:, middle, middle]


METRICS: dict[str, Callable[[Predictions, Labels], float]] = {
    "consistency_exact": lambda predictions, labels: exact_consistency(predictions),
    "consistency_right": consistency_of_right,
    "diagonal_accuracy": diagonal_accuracy,
    "worst_case_accuracy": worst_case_accuracy,
}
