"""Labels, definitions and the treatment of anybody's table."""

import dataclasses
import time

import numpy as np
import pandas as pd
import pytest

from limitcycle.errors import UserError
from limitcycle.reading import LABELS, diagnose
from tests.reading.series import CLEAN, FAST, NOISY, OSCILLATORS, SLOW, figure_2, quiet

COLUMNS = ["start", "peak", "recovery"]


def assert_starts(events, starts, tolerance):
    """Exactly the true events, each within ``tolerance`` steps."""
    assert len(events) == len(starts)
    assert np.abs(events["start"].to_numpy() - starts).max() <= tolerance


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", OSCILLATORS)
def test_every_jump_is_found_and_nothing_else(name, seed):
    oscillator = dataclasses.replace(OSCILLATORS[name], seed=seed, bad_batches=8)
    frame, starts = oscillator.run()
    verdict = diagnose(frame)
    assert verdict.label == "periodic"
    assert_starts(verdict.events, starts, 8 + oscillator.climb // 3)
    assert verdict.period == np.median(np.diff(verdict.events["start"]))


@pytest.mark.parametrize("every", [10, 100])
@pytest.mark.parametrize("name", OSCILLATORS)
def test_thinned_tables_keep_their_label(name, every):
    frame, starts = OSCILLATORS[name].run()
    verdict = diagnose(frame[::every])
    assert verdict.label == "periodic"
    assert len(verdict.events) >= len(starts) / 2
    peaks = verdict.events["peak"].to_numpy()
    distance = np.abs(peaks[:, None] - starts[None, :]).min(axis=1)
    assert distance.max() <= max(5 * every, 2 * OSCILLATORS[name].climb)


@pytest.mark.parametrize("name", OSCILLATORS)
def test_the_definitions_hold_literally(name):
    frame, _ = OSCILLATORS[name].run()
    loss = frame["loss"].to_numpy(np.float64)
    for event in diagnose(frame).events.itertuples():
        between = slice(event.start, event.recovery)
        height = np.log1p(np.maximum(loss - event.low, 0) / event.noise)
        half = (height[event.start] + height[event.peak]) / 2
        assert event.start < event.peak < event.recovery
        assert loss[event.start] <= event.low + event.noise
        assert loss[event.peak] == loss[between].max()
        assert height[event.recovery] < half
        assert (height[event.peak : event.recovery] >= half - 1e-12).all()


def test_phases_follow_each_other():
    frame, _ = CLEAN.run()
    verdict = diagnose(frame)
    phases = verdict.phases
    assert "".join(phases["phase"]) == "AB" + "CAB" * len(verdict.events)
    assert (phases["end"][:-1].to_numpy() == phases["start"][1:].to_numpy()).all()
    assert phases["start"].iloc[0] == 0
    assert phases["end"].iloc[-1] == verdict.last_step
    climbs = phases[phases["phase"] == "C"]
    assert (climbs["start"].to_numpy() == verdict.events["start"]).all()
    assert (climbs["end"].to_numpy() == verdict.events["peak"]).all()


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        ({"fall": 1.0}, "converging"),
        ({"fall": -1.0, "loss": (2.3, 0.05)}, "converging"),
        ({}, "equilibrium"),
        ({"wander": 0.2}, "equilibrium"),
        ({"loss": (2.3, 1.0)}, "stuck"),
        ({"loss": (2.3, 1.0), "wander": 0.3, "loss_noise": 0.6}, "stuck"),
        ({"loss": (2.3, 1.0), "rows": 400}, "stuck"),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_runs_without_jumps(kind, label, seed):
    verdict = diagnose(quiet(**kind, seed=seed))
    assert verdict.label == label
    assert verdict.events.empty
    assert verdict.phases.empty
    assert np.isnan(verdict.period)


def test_stuck_above_overrides():
    frame = quiet()
    assert diagnose(frame, stuck_above=1e-6).label == "stuck"
    assert diagnose(quiet(loss=(2.3, 1.0)), stuck_above=2.0).label == "equilibrium"


@pytest.mark.parametrize("lr", [1, 0.03, 0.01, 0.001])
@pytest.mark.parametrize("seed", range(3))
def test_the_published_figure_2(lr, seed):
    table, jumps = figure_2(lr, seed)
    verdict = diagnose(table, lr=lr, weight_decay=0.001)
    assert verdict.label == {1: "stuck", 0.001: "converging"}.get(lr, "periodic")
    assert len(verdict.events) == len(jumps)
    if len(jumps):
        assert_starts(verdict.events, jumps * 391, 4 * 391)


def test_bad_batches_that_leave_the_norm_alone_are_no_events():
    frame = quiet(fall=1.0)
    frame.loc[500::400, "loss"] = 3.0
    verdict = diagnose(frame)
    assert verdict.label == "converging"
    assert verdict.events.empty


def test_a_norm_that_turns_without_the_loss_is_no_event():
    frame = quiet()
    frame["norm"] = 5 * np.exp(0.5 * np.sin(np.arange(len(frame)) / 300))
    assert diagnose(frame).events.empty


@pytest.mark.parametrize("oscillator", [FAST, SLOW, CLEAN])
def test_one_jump_gets_the_label_of_the_rest(oscillator):
    frame, _ = dataclasses.replace(oscillator, periods=1).run()
    verdict = diagnose(frame)
    assert verdict.label == "converging"
    assert len(verdict.events) == 1
    assert f"{verdict.events['start'].iloc[0]:,}" in verdict.reason
    assert np.isnan(verdict.period)


def test_a_jump_without_return_is_unfinished():
    frame, starts = dataclasses.replace(CLEAN, periods=1).run()
    verdict = diagnose(frame[: starts[0] + 8])
    assert verdict.events.empty
    assert verdict.unfinished == starts[0]
    assert f"{starts[0]:,}" in verdict.reason


@pytest.mark.parametrize("rows", [0, 1, 10, 29])
def test_short_tables_are_unknown(rows):
    verdict = diagnose(quiet().head(rows))
    assert verdict.label == "unknown"
    assert list(verdict.events.columns[:3]) == COLUMNS
    assert list(verdict.phases.columns) == ["phase", "start", "end"]
    assert str(rows) in verdict.reason


@pytest.mark.parametrize("rows", [30, 31, 40, 60])
@pytest.mark.parametrize("seed", range(10))
def test_any_short_piece_is_judged(rows, seed):
    frame, _ = dataclasses.replace(CLEAN, period=20, climb=2, relax=2.0, seed=seed).run()
    assert diagnose(frame[seed : seed + rows]).label in LABELS


@pytest.mark.parametrize("missing", ["step", "loss", "norm"])
def test_a_missing_column_is_named(missing):
    with pytest.raises(ValueError, match=f"'{missing}'"):
        diagnose(quiet().drop(columns=missing))


def test_a_column_without_numbers_is_named():
    with pytest.raises(ValueError, match="'loss'"):
        diagnose(quiet().assign(loss="high"))


def test_arrays_of_another_length_are_refused():
    with pytest.raises(ValueError, match="lr"):
        diagnose(quiet(), lr=np.ones(3), weight_decay=0.1)


def test_order_of_rows_and_double_steps_do_not_matter():
    frame, _ = FAST.run()
    rates = np.linspace(0.1, 0.2, len(frame))
    stale = frame[100:2000].assign(loss=7.0, norm=0.1)
    verdict = diagnose(frame, lr=rates, weight_decay=0.01)
    doubled = diagnose(pd.concat([stale, frame]))
    shuffled = frame.sample(frac=1, random_state=0)
    again = diagnose(shuffled, lr=rates[shuffled.index], weight_decay=0.01)
    without_rates = (each.events.drop(columns="evidence") for each in (doubled, verdict))
    pd.testing.assert_frame_equal(*without_rates)
    pd.testing.assert_frame_equal(again.events, verdict.events)
    assert again.forecast.median == verdict.forecast.median


def test_missing_values_are_skipped():
    frame, starts = FAST.run()
    rng = np.random.default_rng(0)
    frame.loc[rng.random(len(frame)) < 0.2, "loss"] = np.nan
    frame.loc[rng.random(len(frame)) < 0.1, "norm"] = np.nan
    frame.loc[frame.index[-1], "loss"] = np.nan
    verdict = diagnose(frame)
    assert verdict.label == "periodic"
    assert_starts(verdict.events, starts, 10)


def test_a_loss_logged_every_tenth_row_is_no_divergence():
    frame, starts = SLOW.run()
    frame.loc[frame.index % 10 != 0, "loss"] = np.nan
    verdict = diagnose(frame)
    assert verdict.label == "periodic"
    assert_starts(verdict.events, starts, 120)


@pytest.mark.parametrize("norm_every", [1, 100])
def test_earlier_gaps_and_a_norm_logged_seldom_hide_no_divergence(norm_every):
    frame, _ = SLOW.run()
    frame.loc[frame.index % norm_every != 0, "norm"] = np.nan
    frame.loc[500:700, "loss"] = np.nan
    frame.loc[frame.index[-150:], "loss"] = np.nan
    assert diagnose(frame).label == "diverged"


@pytest.mark.parametrize("level", ["high", float("nan"), -1, True])
def test_a_level_that_is_no_loss_is_refused(level):
    with pytest.raises(UserError, match="stuck_above must be"):
        diagnose(quiet(), stuck_above=level)


@pytest.mark.parametrize("column", ["loss", "norm"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_end_that_is_not_finite_is_divergence(column, value):
    frame, _ = FAST.run()
    frame.loc[frame.index[-5:], column] = value
    verdict = diagnose(frame)
    assert verdict.label == "diverged"
    assert f"{len(frame) - 5:,}" in verdict.reason
    assert len(verdict.events) == 8


@pytest.mark.parametrize(
    ("status", "diverged"),
    [
        ("failed", True),
        ({"state": "failed", "reason": "the loss is nan at step 12"}, True),
        ({"state": "failed", "reason": "no space left on the disk"}, False),
        ({"state": "done", "reason": ""}, False),
        ("running", False),
        (None, False),
    ],
)
def test_the_status_may_say_that_it_diverged(status, diverged):
    assert (diagnose(quiet(), status=status).label == "diverged") == diverged


def test_a_loss_that_underflows_to_zero():
    frame, starts = dataclasses.replace(CLEAN, low=1e-7).run()
    frame.loc[frame["loss"] < 1.5e-7, "loss"] = 0.0
    assert (frame["loss"] == 0).any()
    assert_starts(diagnose(frame).events, starts, 3)


@pytest.mark.parametrize("value", [0.0, 1e-3])
def test_constant_columns(value):
    frame = quiet().assign(loss=value, norm=3.0)
    assert diagnose(frame).label in ("equilibrium", "stuck")


def test_a_norm_that_only_grows_has_no_periods():
    frame = quiet()
    frame["norm"] = 8 + 2 * np.log1p(np.arange(len(frame)))
    assert diagnose(frame).label != "periodic"


def test_free_decay_is_not_equilibrium_however_short():
    frame = quiet(rows=4000, fall=0.04)
    assert diagnose(frame).label == "equilibrium"
    assert diagnose(frame, lr=0.01, weight_decay=0.001).label == "converging"


def test_columns_serve_where_arguments_are_left_out():
    frame, _ = CLEAN.run()
    by_argument = diagnose(frame, lr=0.5, weight_decay=0.002)
    by_column = diagnose(frame.assign(lr=0.5, weight_decay=0.002))
    assert by_argument.forecast.median == by_column.forecast.median
    assert by_argument.effective_lr == by_column.effective_lr
    unknown = diagnose(frame)
    assert np.isnan(unknown.forecast.median)
    assert "learning rate" in unknown.forecast.reason


def test_warm_up_ends_where_jumps_come_at_the_norm_of_the_later_ones():
    frame, starts = dataclasses.replace(FAST, jitter=0.0).run()
    frame.loc[: starts[2] + 300, "norm"] *= 3
    verdict = diagnose(frame)
    assert verdict.consistent_from == pytest.approx(starts[3], abs=10)


def test_400_000_rows_take_less_than_a_second():
    frame, _ = dataclasses.replace(NOISY, periods=265).run()
    frame = frame.head(400_000).assign(epoch=lambda f: f["step"] // 391)
    seconds = []
    for _ in range(3):
        began = time.process_time()  # other processes on the machine do not count
        verdict = diagnose(frame, lr=0.1, weight_decay=0.001)
        seconds.append(time.process_time() - began)
    assert min(seconds) < 1.0
    assert len(verdict.events) > 250
