"""Accuracy from counted answers: over all locations of the canvas, and location by location."""

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int64
from torch import Tensor

COLUMNS = ["location", "target", "answer", "count"]


def counts_to_table(counts: Int64[Tensor, "l t a"]) -> pd.DataFrame:
    """The counts that are not zero, one row each: ``location, target, answer, count``."""
    indices = counts.nonzero()
    values = counts[tuple(indices.T)]
    return pd.DataFrame(torch.cat([indices, values[:, None]], dim=1).numpy(), columns=COLUMNS)


def table_to_counts(table: pd.DataFrame, locations: int, answers: int) -> Int64[Tensor, "l t a"]:
    """The counts of such a table: the inverse of ``counts_to_table``.

    Args:
        table: columns ``location, target, answer, count``.
        locations: how many the canvas has.
        answers: number of classes.
    """
    counts = torch.zeros(locations, answers, answers, dtype=torch.long)
    location, target, answer, count = (torch.tensor(table[c].to_list()) for c in COLUMNS)
    counts[location, target, answer] = count
    return counts


def accuracy(counts: Int64[Tensor, "l t a"]) -> float:
    """Share of right answers, in [0, 1]."""
    return counts.diagonal(dim1=1, dim2=2).sum().item() / counts.sum().item()


def accuracy_by_location(counts: Int64[Tensor, "l t a"]) -> Float[np.ndarray, "g g"]:
    """Share of right answers at each location: rows from the top, columns from the left.

    Where the right answer is the location itself, this is how often it is recognised.
    """
    right = counts.diagonal(dim1=1, dim2=2).sum(1)
    side = round(len(counts) ** 0.5)
    return (right.double() / counts.sum((1, 2))).numpy().reshape(side, side)


def answers_by_target(counts: Int64[Tensor, "l t a"]) -> Float[np.ndarray, "t a"]:
    """Share of each answer where a class was right; rows sum to 1."""
    pairs = counts.sum(0).double()
    return (pairs / pairs.sum(1, keepdim=True)).numpy()
