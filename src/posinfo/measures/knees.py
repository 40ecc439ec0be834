"""How wide a border has to be for a network to lose its place."""

import numpy as np
from jaxtyping import Float

HALF_WAY = 0.75  # accuracy between chance, .5, and certainty


def knee(
    borders: Float[np.ndarray, " b"], accuracies: Float[np.ndarray, " b"], level: float = HALF_WAY
) -> float:
    """The border at which accuracy falls below a level, between two widths by a straight line.

    The fall that counts is the last one: beyond it, accuracy stays below the level.

    Args:
        borders: widths in pixels, rising.
        accuracies: at each of them, in [0, 1].
        level: an accuracy.

    Returns:
        Pixels; NaN where accuracy is below the level at every width, infinity where it is not at
        the widest.
    """
    above = np.flatnonzero(accuracies >= level)
    if not len(above):
        return float("nan")
    last = above[-1]
    if last == len(borders) - 1:
        return float("inf")
    share = (accuracies[last] - level) / (accuracies[last] - accuracies[last + 1])
    return float(borders[last] + share * (borders[last + 1] - borders[last]))
