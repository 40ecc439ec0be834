import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix

from posinfo.measures.canvas_scores import (
    accuracy,
    accuracy_by_location,
    answers_by_target,
    counts_to_table,
    table_to_counts,
)


@pytest.fixture
def answered():
    """Location, right class and answer of 500 canvases, and their counts."""
    values = np.random.default_rng(0)
    locations, targets, answers = (values.integers(0, high, 500) for high in (4, 3, 3))
    counts = torch.zeros(4, 3, 3, dtype=torch.long)
    for triple in zip(locations, targets, answers, strict=True):
        counts[triple] += 1
    return locations, targets, answers, counts


def test_accuracy_against_scikit_learn(answered):
    _, targets, answers, counts = answered
    assert accuracy(counts) == accuracy_score(targets, answers)


def test_accuracy_by_location_against_scikit_learn(answered):
    locations, targets, answers, counts = answered
    expected = [
        accuracy_score(targets[locations == location], answers[locations == location])
        for location in range(4)
    ]
    np.testing.assert_allclose(accuracy_by_location(counts), np.reshape(expected, (2, 2)))


def test_answers_by_target_against_scikit_learn(answered):
    _, targets, answers, counts = answered
    expected = confusion_matrix(targets, answers, normalize="true")
    np.testing.assert_allclose(answers_by_target(counts), expected)


def test_rows_come_from_the_top_and_columns_from_the_left():
    counts = torch.zeros(4, 4, 4, dtype=torch.long)
    for location, right in enumerate((1, 2, 3, 4)):
        counts[location, location, 0] = 4 - right
        counts[location, location, location] = right
    counts[0, 0, 0], counts[0, 0, 1] = 1, 3
    np.testing.assert_allclose(accuracy_by_location(counts), [[0.25, 0.5], [0.75, 1.0]])


def test_table_and_back(answered):
    *_, counts = answered
    counts[2, 1, 0] = 0
    table = counts_to_table(counts)
    assert (table["count"] > 0).all() and table["count"].sum() == counts.sum()
    assert torch.equal(table_to_counts(table, 4, 3), counts)
