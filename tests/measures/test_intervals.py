import warnings

import numpy as np
import pytest
from scipy import stats

from posinfo.measures.intervals import mean_interval

DISTRIBUTIONS = {
    "normal": stats.norm(0.5, 0.1),
    "skewed like SPC below 1": stats.beta(8, 2),
    "heavy-tailed": stats.t(5),
}


def coverage(distribution, n, repeats=2000):
    samples = distribution.rvs((repeats, n), random_state=np.random.default_rng(n))
    ends = np.array([mean_interval(sample) for sample in samples])
    return ((ends[:, 0] <= distribution.mean()) & (distribution.mean() <= ends[:, 1])).mean()


@pytest.mark.parametrize("n", [3, 4, 10])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_interval_holds_the_mean_as_often_as_it_says(name, n):
    # 92 % is what it covers of three skewed values; two standard errors of the simulation are 1 %
    assert 0.91 <= coverage(DISTRIBUTIONS[name], n) <= 0.97


def test_interval_is_the_textbook_formula():
    values = np.array([0.71, 0.83, 0.78, 0.80])
    half = stats.t.ppf(0.975, 3) * values.std(ddof=1) / 2
    assert mean_interval(values) == pytest.approx((values.mean() - half, values.mean() + half))


def test_a_single_value_has_no_interval():
    with warnings.catch_warnings(action="error"):
        assert np.isnan(mean_interval(np.array([0.7]))).all()


def test_equal_values_have_an_interval_without_width():
    with warnings.catch_warnings(action="error"):
        assert mean_interval(np.array([0.25, 0.25, 0.25])) == (0.25, 0.25)
        low, high = mean_interval(np.array([0.1 + 0.2, 0.3, 0.3]))
    assert low <= 0.3 <= high
