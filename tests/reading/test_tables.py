"""Anybody's tables and arguments: taken where they are clear, else refused by name."""

import warnings

import numpy as np
import pandas as pd
import pytest

from limitcycle.errors import UserError
from limitcycle.reading import diagnose
from limitcycle.reading.words import reason
from tests.reading.series import CLEAN, quiet


def test_a_mapping_of_columns_is_a_table():
    frame, _ = CLEAN.run()
    verdict = diagnose({name: list(frame[name]) for name in frame.columns})
    pd.testing.assert_frame_equal(verdict.events, diagnose(frame).events)
    assert verdict.rows == len(frame)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (None, "not NoneType"),
        ([1, 2], "not list"),
        ("steps.csv", "is no folder"),
        (__file__, "is a file: read it into a table"),
        ({"step": [1, 2], "loss": [1.0], "norm": [1.0]}, "mapping is no table"),
        ({"step": 1, "loss": 1.0, "norm": 1.0}, "mapping is no table"),
        ({}, "table is empty"),
        (pd.DataFrame(), "table is empty"),
        (quiet().assign(step=pd.Timestamp("2024-01-01")), "column 'step' holds times"),
        (quiet().rename(columns={"loss": "Loss"}), "rename 'Loss' to 'loss'"),
        (quiet().rename(columns={"norm": "weight_norm"}), "rename 'weight_norm' to 'norm'"),
        (quiet().rename(columns={"step": "global_step"}), "rename 'global_step' to 'step'"),
        (quiet().rename(columns={"loss": 7}), r"no column 'loss' \(or 'train_loss'\)"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(table, said):
    with pytest.raises(UserError, match=said) as refusal:
        diagnose(table)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lr": "x"}, "lr must be a number"),
        ({"lr": -1}, "lr must be positive and finite, not -1"),
        ({"lr": np.inf}, "lr must be positive"),
        ({"lr": 0.1, "weight_decay": np.nan}, "weight_decay must be finite and not negative"),
        ({"lr": 0.1, "weight_decay": -1e-3}, "weight_decay must be finite and not negative"),
        ({"lr": np.full(5_000, -1.0)}, "lr must be finite and not negative in every row"),
    ],
)
def test_settings_out_of_range_are_refused(settings, said):
    with pytest.raises(UserError, match=said):
        diagnose(quiet(), **settings)


def test_a_schedule_may_reach_zero_and_have_gaps():
    rates = np.linspace(0.1, 0.0, 5_000)
    rates[7] = np.nan
    assert diagnose(quiet(), lr=rates, weight_decay=0.0).label == "equilibrium"


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize("far", [0, 10**25])
def test_no_warnings_for_numbers_from_far_away(scale, far):
    frame, _ = CLEAN.run()
    for table in (frame, quiet(fall=500.0)):
        table = table.assign(norm=scale * table["norm"], step=table["step"] * 1e15 + far)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            verdict = diagnose(table, lr=0.1, weight_decay=0.01, momentum=0.9)
            assert "nan" not in str(verdict)


def test_unequal_periods_are_told_by_their_quartiles():
    frame, _ = CLEAN.run()
    verdict = diagnose(frame)
    assert "(median)" in verdict.reason
    events = pd.concat([verdict.events] * 2).head(9).reset_index(drop=True)
    events["start"] = np.cumsum([0, *[300, 900] * 4])
    object.__setattr__(verdict, "events", events)
    object.__setattr__(verdict, "period", 600.0)
    assert "one every 300 to 900 steps (quartiles; median 600)" in reason(verdict)
