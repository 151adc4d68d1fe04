"""Curves logged at steps of their own become rows, and nothing is carried further than promised."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limitcycle.errors import UserError
from limitcycle.record.logs import Log, as_table


def log(loss, norm, **more):
    curves = {"loss": loss, "norm": norm, **more}
    curves = {k: pd.Series(v, dtype=float) for k, v in curves.items()}
    return Log("run", "log", list(curves), curves.__getitem__, "log it")


CURVE = st.dictionaries(st.integers(0, 60), st.floats(0.1, 10), min_size=1, max_size=40)


@given(loss=CURVE, norm=CURVE)
def test_rows_hold_the_nearest_earlier_value_not_older_than_an_interval(loss, norm):
    rows, other = (loss, norm) if len(loss) <= len(norm) else (norm, loss)
    interval = np.median(np.diff(sorted(other))) if len(other) > 1 else 0
    expected = {}
    for step in sorted(rows):
        earlier = [s for s in other if s <= step]
        if earlier and step - max(earlier) <= interval:
            pair = rows[step], other[max(earlier)]
            expected[step] = pair if rows is loss else pair[::-1]
    if not expected:
        with pytest.raises(UserError, match="no steps in common"):
            as_table(log(loss, norm), {})
        return
    table, _ = as_table(log(loss, norm), {})
    assert {step: (high, long) for step, high, long in table.itertuples(index=False)} == expected


def test_a_norm_logged_seldom_sets_the_rows_and_that_is_said():
    loss = {step: 1.0 + step for step in range(1_000)}
    table, notes = as_table(log(loss, dict.fromkeys(range(0, 1_000, 50), 2.0)), {})
    assert list(table["step"]) == list(range(0, 1_000, 50))
    assert list(table["loss"]) == [1.0 + step for step in table["step"]]
    assert "loss was logged at 1,000 steps, the norm at 20" in notes[-1]


def test_a_learning_rate_counts_until_the_next_one():
    loss = dict.fromkeys(range(100), 1.0)
    table, _ = as_table(log(loss, loss, lr={10: 0.5, 60: 0.05}), {})
    np.testing.assert_array_equal(table["lr"], [np.nan] * 10 + [0.5] * 50 + [0.05] * 40)


def test_logged_nans_stay_rows():
    nan = float("nan")
    table, _ = as_table(log({0: 1.0, 1: nan, 2: nan}, {0: 1.0, 1: 2.0, 2: nan}), {})
    assert len(table) == 3 and table["loss"].isna().sum() == 2


def test_an_empty_curve_is_refused_by_name():
    with pytest.raises(UserError, match="'norm' holds no numbers"):
        as_table(log({0: 1.0}, {}), {})
