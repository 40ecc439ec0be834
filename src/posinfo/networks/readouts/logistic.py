"""A linear classifier of pooled features, whose penalty is chosen on validation images."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

MOST_STEPS = 1000  # of the solver
ROUNDING = 1e-5  # of a feature's root mean square, in float32

Features = tuple[Float[np.ndarray, "_ c"], Int64[np.ndarray, " _"]]
"""Features and classes."""


class LogisticReadout(NamedTuple):
    """The chosen classifier.

    Attributes:
        classifier: standardises features, then classifies them.
        useful: which features it is given.
        strength: the chosen inverse penalty.
        accuracy: on the validation images, in [0, 1].
    """

    classifier: Pipeline
    useful: Bool[np.ndarray, " c"]
    strength: float
    accuracy: float

    def accuracy_on(self, images: Features) -> float:
        """Share of right answers, in [0, 1]."""
        features, classes = images
        return float(self.classifier.score(features[:, self.useful], classes))


def fit_logistic(
    train: Features, validation: Features, strengths: Sequence[float]
) -> LogisticReadout:
    """Logistic regression of standardised features.

    Args:
        train: fit the classifier.
        validation: chooses its penalty.
        strengths: inverse penalties (``C`` of scikit-learn); the least of the best is taken.
    """
    useful = _varying(train[0])
    fitted = []
    for strength in sorted(strengths):
        regression = LogisticRegression(C=strength, max_iter=MOST_STEPS)
        classifier = make_pipeline(StandardScaler(), regression)
        classifier.fit(train[0][:, useful], train[1])
        readout = LogisticReadout(classifier, useful, strength, 0.0)
        fitted.append(readout._replace(accuracy=readout.accuracy_on(validation)))
    return max(fitted, key=lambda each: each.accuracy)


def _varying(features: Float[np.ndarray, "n c"]) -> Bool[np.ndarray, " c"]:
    """Which features differ by more than rounding; one at least, for there is no fit of none."""
    sizes = np.sqrt(np.square(features, dtype=np.float64).mean(0))
    varying = features.std(0, dtype=np.float64) > ROUNDING * sizes
    return varying if varying.any() else np.arange(features.shape[1]) == 0
