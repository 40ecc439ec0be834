import numpy as np
import torch

from posinfo.measures.ring_profiles import ring_scores


def test_rings_are_means_over_locations_of_equal_distance_to_the_edge():
    counts = torch.zeros(25, 2, 2, dtype=torch.long)
    right = np.full((5, 5), 2)
    right[1:4, 1:4], right[2, 2], right[0, 0] = 6, 9, 10
    for location, value in enumerate(right.flatten()):
        counts[location, 0, 0], counts[location, 0, 1] = int(value), 10 - int(value)
    scores = ring_scores(counts)
    assert scores.ring.tolist() == [1, 2, 3]
    np.testing.assert_allclose(scores.accuracy, [(15 * 0.2 + 1) / 16, 0.6, 0.9])
