import itertools
from math import isnan

import pytest
import torch

from posinfo.measures.consistency import (
    METRICS,
    agreement_by_offset,
    consistency_measures,
    consistency_of_right,
    diagonal_accuracy,
    exact_consistency,
    sampled_consistency,
    worst_case_accuracy,
)

# Two images at 3 x 3 offsets: the second is always class 1, the first mostly class 0.
TOY = torch.tensor([[[0, 0, 0], [0, 0, 2], [0, 1, 1]], [[1, 1, 1], [1, 1, 1], [1, 1, 1]]])
LABELS = torch.tensor([0, 1])


def test_exact_consistency_by_hand():
    # 6, 2 and 1 of 9 offsets: (36 + 4 + 1) / 81, and 1
    assert exact_consistency(TOY) == pytest.approx((41 / 81 + 1) / 2)


def test_exact_consistency_is_the_share_of_agreeing_pairs():
    generator = torch.Generator().manual_seed(0)
    predictions = torch.randint(4, (7, 3, 3), generator=generator)
    pairs = list(itertools.product(predictions.flatten(1).T, repeat=2))
    agreeing = torch.stack([first == second for first, second in pairs]).double().mean()
    assert exact_consistency(predictions) == pytest.approx(agreeing.item())


def test_sampled_consistency_converges_to_the_exact_one():
    generator = torch.Generator().manual_seed(0)
    predictions = torch.randint(3, (50, 5, 5), generator=generator)
    errors = [
        abs(sampled_consistency(predictions, draws, generator) - exact_consistency(predictions))
        for draws in (20, 2_000, 20_000)
    ]
    # standard errors: .015, .0015, .0005
    assert errors[0] < 0.06 and errors[1] < 0.006 and errors[2] < 0.002


def test_sampled_consistency_by_hand():
    generator = torch.Generator().manual_seed(3)
    pairs = torch.randint(9, (2, 2, 4), generator=torch.Generator().manual_seed(3))
    flat = TOY.flatten(1)
    agreeing = [
        flat[image, pairs[0, image, draw]] == flat[image, pairs[1, image, draw]]
        for image in range(2)
        for draw in range(4)
    ]
    assert sampled_consistency(TOY, 4, generator) == sum(map(int, agreeing)) / 8


def test_accuracies_by_hand():
    assert diagonal_accuracy(TOY, LABELS) == pytest.approx((2 / 3 + 1) / 2)
    assert diagonal_accuracy(TOY, torch.tensor([1, 1])) == pytest.approx((1 / 3 + 1) / 2)
    assert worst_case_accuracy(TOY, LABELS) == 0.5
    expected = [[1.0, 1.0, 1.0], [1.0, 1.0, 0.5], [1.0, 0.5, 0.5]]
    torch.testing.assert_close(agreement_by_offset(TOY), torch.tensor(expected).double())


def test_consistency_of_right_images_by_hand():
    # the classes in the middle are 0 and 1; the first image scores 41 / 81, the second 1
    assert consistency_of_right(TOY, torch.tensor([0, 0])) == pytest.approx(41 / 81)
    assert consistency_of_right(TOY, torch.tensor([2, 1])) == 1
    assert consistency_of_right(TOY, LABELS) == exact_consistency(TOY)
    measures = consistency_measures(TOY, torch.tensor([0, 0]), draws=5)
    assert (measures["consistency_right"], measures["n_right"]) == (pytest.approx(41 / 81), 1)


def test_where_no_image_is_right_their_consistency_is_no_number():
    measures = consistency_measures(TOY, torch.tensor([2, 0]), draws=5)
    assert isnan(measures["consistency_right"]) and measures["n_right"] == 0


@pytest.mark.parametrize("count", [1, 6])
def test_a_constant_classifier_is_consistent_whatever_its_accuracy(count):
    constant = torch.full((count, 3, 3), 2)
    assert exact_consistency(constant) == sampled_consistency(constant, 3, torch.Generator()) == 1
    assert diagonal_accuracy(constant, torch.zeros(count).long()) == 0


@pytest.mark.parametrize("metric", METRICS)
def test_all_metrics_are_fractions(metric):
    generator = torch.Generator().manual_seed(1)
    predictions = torch.randint(5, (9, 3, 3), generator=generator)
    assert 0 <= METRICS[metric](predictions, torch.arange(9) % 5) <= 1


def test_middle_of_an_even_number_of_offsets_is_the_image_itself():
    """Offsets 0 to 3: one pixel is padded before, two after."""
    predictions = torch.zeros(1, 4, 4, dtype=torch.long)
    predictions[0, 1, 1] = predictions[0, 3, 0] = 5
    agreeing = agreement_by_offset(predictions)
    assert agreeing[1, 1] == agreeing[3, 0] == 1 and agreeing.sum() == 2


def test_one_offset_is_always_consistent():
    assert exact_consistency(torch.tensor([[[3]], [[1]]])) == 1.0
