"""Accuracy by distance from the edge of the canvas: a ring of locations after the other."""

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64
from torch import Tensor

from posinfo.measures.canvas_scores import accuracy_by_location
from posinfo.measures.true_context import rings


def ring_accuracies(counts: Int64[Tensor, "l t a"]) -> Float[np.ndarray, " r"]:
    """Share of right answers in each ring of locations, the outermost first.

    Args:
        counts: see ``posinfo.networks.training.canvases.count_answers``.
    """
    by_location = accuracy_by_location(counts)
    ring = rings(*by_location.shape).numpy()
    return np.array([by_location[ring == index].mean() for index in range(ring.max() + 1)])


def ring_scores(counts: Int64[Tensor, "l t a"]) -> pd.DataFrame:
    """A row per ring ``ring, accuracy``, the outermost is 1; every location has as many images."""
    values = ring_accuracies(counts)
    return pd.DataFrame({"ring": np.arange(1, len(values) + 1), "accuracy": values})
