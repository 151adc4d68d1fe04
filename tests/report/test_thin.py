import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from limitcycle.report.thin import extremes_between, thin

values = st.floats(-1e6, 1e6) | st.just(float("nan")) | st.just(float("inf"))
series = st.integers(1, 400).flatmap(lambda n: arrays(np.float64, n, elements=values))


@settings(max_examples=200, deadline=None)
@given(series, st.integers(1, 60), st.data())
def test_what_must_stay_stays_and_rows_come_in_order(column, budget, data):
    keep = data.draw(st.lists(st.integers(0, len(column) - 1), max_size=10))
    rows = thin([column], budget, keep)
    assert set(keep) <= set(rows)
    assert rows[0] == 0 and rows[-1] == len(column) - 1
    assert (np.diff(rows) > 0).all()
    assert len(rows) <= max(budget, len(set(keep)) + 4)


@settings(max_examples=200, deadline=None)
@given(series, st.integers(4, 60))
def test_the_extremes_survive_any_budget(column, budget):
    drawn = column[thin([column], budget)]
    finite = column[np.isfinite(column)]
    if len(finite):
        kept = drawn[np.isfinite(drawn)]
        assert kept.max() == finite.max() and kept.min() == finite.min()


@pytest.mark.parametrize("at", [1, 777, 50_000, 99_998])
def test_a_spike_of_one_step_survives(at):
    column = np.random.default_rng(0).standard_normal(100_000)
    column[at] = 50.0
    assert at in thin([np.zeros_like(column), column], 500)


def test_every_bin_keeps_its_extremes():
    """The envelope that a screen shows is that of all rows, not just the overall extremes."""
    column = np.random.default_rng(1).standard_normal(10_000)
    rows = thin([column], 202)
    for bin_ in np.split(np.arange(10_000), 100):
        inside = column[rows[np.isin(rows, bin_)]]
        assert inside.max() == column[bin_].max() and inside.min() == column[bin_].min()


def test_a_short_series_is_left_alone():
    assert thin([np.arange(5.0)], 5).tolist() == [0, 1, 2, 3, 4]
    assert thin([np.empty(0)], 5).tolist() == []


def test_extremes_between_cuts_ignore_what_is_missing():
    column = np.array([0.0, 5.0, np.nan, 1.0, -3.0, np.inf, 2.0])
    cuts = np.array([0, 3, 7])
    assert extremes_between(column, cuts, largest=True).tolist() == [1, 6]
    assert extremes_between(column, cuts, largest=False).tolist() == [0, 4]
