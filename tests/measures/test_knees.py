import numpy as np
import pytest

from posinfo.measures.knees import knee

BORDERS = np.array([0.0, 16, 32, 64])


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ([1, 1, 0.5, 0.5], 24),
        ([1, 0.8, 0.7, 0.5], 24),
        ([1, 0.6, 0.9, 0.5], 32 + 32 * 0.15 / 0.4),  # the last fall
        ([0.75, 0.5, 0.5, 0.5], 0),
        ([1, 1, 1, 0.9], np.inf),
        ([0.6, 0.5, 0.5, 0.5], np.nan),
    ],
)
def test_knee_is_where_accuracy_falls_half_way_to_chance(accuracies, expected):
    np.testing.assert_allclose(knee(BORDERS, np.array(accuracies)), expected, equal_nan=True)
