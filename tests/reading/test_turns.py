from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from limitcycle.reading.turns import noise, turning_points


def plain_zigzag(values, swing):
    """How many turns a reader going from left to right makes, with hysteresis ``swing``."""
    turns, low, high, direction = 0, values[0], values[0], 0
    for value in values:
        if direction >= 0:
            high = max(high, value)
            if high - value >= swing:
                turns, direction, low = turns + 1, -1, value
        if direction <= 0:
            low = min(low, value)
            if value - low >= swing:
                turns, direction, high = turns + 1, 1, value
    return turns


@given(
    arrays(np.float64, st.integers(1, 60), elements=st.integers(-20, 20).map(float)),
    st.sampled_from([0.5, 3.5, 7.5]),
)
def test_turning_points_obey_their_laws(values, swing):
    rows = turning_points(values, swing)
    change = np.diff(values[rows])
    assert (np.diff(rows) > 0).all()
    assert (np.abs(change) >= swing).all()
    assert (change[1:] * change[:-1] < 0).all()
    assert max(len(rows) - 1, 0) == plain_zigzag(values, swing)
    for first, last in pairwise(rows):
        inside = values[first : last + 1]
        assert {inside.min(), inside.max()} == {values[first], values[last]}


def test_noise_sees_neither_jumps_nor_decay():
    rng = np.random.default_rng(0)
    series = 0.01 * rng.standard_normal(5000) - np.arange(5000) * 0.001
    series += np.repeat(rng.standard_normal(50), 100)
    assert noise(series, 2) == pytest.approx(0.01, rel=0.1)
    assert noise(series[:1], 2) == 0
