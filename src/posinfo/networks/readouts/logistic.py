"""A linear classifier of pooled features, whose penalty is chosen on validation images."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

MOST_STEPS = 1000  # of the solver

Features = tuple[Float[np.ndarray, "_ c"], Int64[np.ndarray, " _"]]
"""Features and classes."""


class LogisticReadout(NamedTuple):
    """The chosen classifier.

    Attributes:
        classifier: standardises features, then classifies them.
        strength: the chosen inverse penalty.
        accuracy: on the validation images, in [0, 1].
    """

    classifier: Pipeline
    strength: float
    accuracy: float


def fit_logistic(
    train: Features, validation: Features, strengths: Sequence[float]
) -> LogisticReadout:
    """Logistic regression of standardised features.

    Args:
        train: fit the classifier.
        validation: chooses its penalty.
        strengths: inverse penalties (``C`` of scikit-learn); the least of the best is taken.
    """
    fitted = []
    for strength in sorted(strengths):
        classifier = make_pipeline(
            StandardScaler(), LogisticRegression(C=strength, max_iter=MOST_STEPS)
        )
        classifier.fit(*train)
        accuracy = float(classifier.score(*validation))
        fitted.append(LogisticReadout(classifier, strength, accuracy))
    return max(fitted, key=lambda each: each.accuracy)
