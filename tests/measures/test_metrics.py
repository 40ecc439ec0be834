import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from posinfo.measures.metrics import constant_floor, mean_absolute_error, spearman


def maps(kind, generator):
    values = torch.rand(3, 2, 12, 10, generator=generator)
    return (values * 4).round() / 4 if kind == "ties" else values


@pytest.mark.parametrize("kind", ["no ties", "ties"])
@pytest.mark.parametrize("batch", [slice(None), slice(0, 1)])
def test_spearman_equals_scipy(kind, batch, generator):
    predictions, target = maps(kind, generator)[batch], maps(kind, generator)[0, 0]
    ours = spearman(predictions, target)
    assert ours.shape == predictions.shape[:2]
    for index in np.ndindex(*ours.shape):
        reference = spearmanr(predictions[index].flatten(), target.flatten()).statistic
        assert ours[index].item() == pytest.approx(reference, abs=1e-12)


def test_spearman_of_a_constant_is_undefined_as_in_scipy(generator):
    predictions = maps("no ties", generator)[0]
    predictions[0] = 0.3
    predictions[0, 0, 0] += 5e-5  # rounding
    correlations = spearman(predictions, maps("no ties", generator)[0, 0])
    assert correlations.isnan().tolist() == [True, False]


def test_spearman_of_a_single_map_and_of_itself(generator):
    target = maps("ties", generator)[0, 0]
    assert spearman(target, target).item() == pytest.approx(1)
    assert spearman(-target, target).item() == pytest.approx(-1)
    assert spearman(target**3, target).item() == pytest.approx(1)


def test_mean_absolute_error_equals_numpy(generator):
    predictions, target = maps("no ties", generator), maps("no ties", generator)[0, 0]
    expected = np.abs(predictions.numpy() - target.numpy()).mean((-2, -1))
    np.testing.assert_allclose(mean_absolute_error(predictions, target), expected, rtol=1e-6)


@pytest.mark.parametrize("measure", [spearman, mean_absolute_error])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_predictions_that_are_not_finite_are_refused(measure, bad, generator):
    predictions = maps("no ties", generator)
    target = predictions[0, 0].clone()
    predictions[1, 0] = bad
    predictions[2, 1, 3, 4] = bad
    message = "^2 of 6 predicted maps are not finite$"
    with pytest.raises(FloatingPointError, match=message):
        measure(predictions, target)


def test_floor_is_the_least_error_of_any_constant(generator):
    target = torch.rand(9, 7, generator=generator) ** 3
    errors = [(target - c).abs().mean().item() for c in torch.linspace(0, 1, 2001)]
    assert constant_floor(target) == pytest.approx(min(errors), abs=1e-4)
    assert constant_floor(target) <= min(errors) + 1e-7


def test_inputs_are_unchanged(generator):
    predictions, target = maps("ties", generator), maps("ties", generator)[0, 0]
    copies = predictions.clone(), target.clone()
    spearman(predictions, target)
    mean_absolute_error(predictions, target)
    constant_floor(target)
    assert torch.equal(predictions, copies[0]) and torch.equal(target, copies[1])
