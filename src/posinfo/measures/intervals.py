"""Intervals whose coverage is known, over units that are independent: photographs or seeds."""

import numpy as np
from jaxtyping import Float
from scipy.stats import sem, t

CONFIDENCE = 0.95


def mean_interval(
    values: Float[np.ndarray, " n"], confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Student's t interval of the mean of independent values.

    Two samples are compared by the interval of their paired differences: the same seeds, or the
    same photographs, in the same order. The tests simulate its coverage for 3 to 10 values: 95 %
    of normal and heavy-tailed ones, 92 to 94 % of values as skewed as correlations near 1. A
    percentile bootstrap of four values covers 81 %.

    Args:
        values: one per independent unit. Crops of one photograph are not independent, the mean over
            them is one value.
        confidence: the share of samples whose interval holds the mean.

    Returns:
        Its lower and its upper end, in the unit of the values; NaN for fewer than two of them.
    """
    if len(values) < 2:
        return np.nan, np.nan
    mean = float(np.mean(values))
    half = float(t.ppf((1 + confidence) / 2, len(values) - 1) * sem(values))
    return mean - half, mean + half


def jackknife_interval(
    whole: float, without: Float[np.ndarray, " g"], confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Interval of a statistic of many images that is no mean over them, such as a mean IoU.

    Images are dealt to groups at random; from the statistic without each group come pseudovalues,
    and from these Student's t interval (Tukey, 1958). The tests simulate its coverage.

    Args:
        whole: the statistic of all images.
        without: the same without the first group, without the second, and so on.
        confidence: see ``mean_interval``.

    Returns:
        Its lower and its upper end, in the unit of the statistic.
    """
    groups = len(without)
    return mean_interval(groups * whole - (groups - 1) * without, confidence)
