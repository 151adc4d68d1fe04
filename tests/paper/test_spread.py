"""Intervals are Student's, compared with SciPy's; spreads are medians and ranges."""

import math

import numpy as np
import pytest
from scipy import stats

from limitcycle.paper.spread import (
    as_ratio,
    difference,
    error_of_difference,
    log_ratio,
    mean_interval,
    spread,
)


def test_the_mean_has_students_interval():
    values = [0.3, 0.5, 0.9, 1.0, 1.4]
    found = mean_interval(values)
    low, high = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-3)


@pytest.mark.parametrize("count", [2, 3, 5, 21])
def test_a_difference_of_equal_variances_has_welchs_interval(count):
    ours = np.random.default_rng(count).standard_normal(count)
    theirs = ours[::-1] + 3
    found = difference(ours, theirs)
    exact = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), rel=0.04)


def test_an_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(2_000):
        found = difference(rng.normal(0, 1, 3), rng.normal(0, 3, 3))
        inside += found.low <= 0 <= found.high
    assert inside / 2_000 >= 0.95


def test_one_seed_tells_no_spread():
    assert not mean_interval([1.0]).known
    assert not difference([1.0], [2.0, 3.0]).known
    assert not log_ratio([1.0, math.nan], [2.0, 3.0]).known


def test_words():
    assert spread([0.5, 0.4, 0.52]) == "0.5 [0.4, 0.52]"
    assert spread([2.0, 2.0, math.nan]) == "2"
    assert spread([math.nan]) == "none"
    assert as_ratio(log_ratio([2.0, 2.0], [1.0, 1.0])) == "× 2.00 [2.00, 2.00]"
    assert error_of_difference(0.5, 0.5, 100) == pytest.approx(math.sqrt(0.005))
