from __future__ import annotations

import math

import pytest
from scipy.stats import beta, binom

from training.bounds import binomial_interval, median_interval, poisson_interval


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, -math.log(0.025)), (1, 0.0253, 5.5716), (10, 4.7954, 18.3904)]
)
def test_the_interval_of_a_rate_is_garwoods(count, low, high):
    assert poisson_interval(count) == pytest.approx((low, high), abs=1e-3)


@pytest.mark.parametrize(("hits", "trials"), [(0, 4), (3, 4), (4, 4), (17, 20)])
def test_the_interval_of_a_share_is_clopper_and_pearsons(hits, trials):
    low = beta.ppf(0.025, hits, trials - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, trials - hits) if hits < trials else 1.0
    assert binomial_interval(hits, trials) == pytest.approx((low, high), abs=1e-9)


def test_a_share_of_nothing_may_be_anything():
    assert binomial_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("count", "inner"), [(6, 0), (8, 0), (9, 1), (20, 5)])
def test_the_interval_of_a_median_holds_whatever_the_distribution(count, inner):
    values = [float(v) for v in range(count)]
    assert median_interval(values[::-1]) == (values[inner], values[count - 1 - inner])
    outside = [2.0 * binom.cdf(k, count, 0.5) for k in (inner, inner + 1)]
    assert outside[0] <= 0.05 < outside[1]


def test_five_values_bound_no_median():
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0]) is None
