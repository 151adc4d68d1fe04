"""When the next jump comes: a range that holds the truth, or a reason; the same in any unit."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from benchmarks.transforms import EXACT, in_units
from limitcycle.reading import Diagnosis, diagnose
from limitcycle.reading.data import RunData
from limitcycle.reading.decay import log_decay
from limitcycle.reading.forecast import SCHEDULED_OUT
from limitcycle.reading.foresight.fitted import content, fitted
from limitcycle.reading.foresight.pace import pace_of
from limitcycle.reading.foresight.threshold import chance_within, rest_of_rise
from limitcycle.reading.live import Live
from limitcycle.reading.optimizers import update_rule
from limitcycle.reading.series import read_table, series_of
from tests.reading.laws import wide
from tests.reading.series import CLEAN, FAST, NOISY, quiet

RATE = {"lr": 0.5, "weight_decay": 0.002, "momentum": 0.0}
CASES = {"fast": FAST, "clean": CLEAN, "noisy": dataclasses.replace(NOISY, norm_noise=0.0)}


def table_of(recipe, **known):
    frame, starts = recipe.run()
    product = recipe.rise / recipe.period
    settings = {"lr": 1.0, "weight_decay": product, "momentum": 0.0, **known}
    return wide(frame).assign(**settings), starts


def numbers(found):
    forecast = found.forecast
    return forecast.low, forecast.median, forecast.high


def full_batch(periods=6, length=300):
    """A loss without noise, whose steps promise as much as they bring until a jump nears."""
    share = np.clip((np.arange(length) / length - 0.75) / 0.2, 0, 1.1)  # taken by curvature
    fall = 1e-5
    calm = 0.02 - np.cumsum(fall * (1 - share))
    jump = 0.5 * np.exp(-np.arange(40) / 6) + calm[0]
    climb = np.geomspace(calm[-1] + 0.01, 0.5, 5)
    loss, log_norm, promised = [calm], [-0.5 * np.arange(length) / length], [np.full(length, fall)]
    for _ in range(periods):
        loss += [climb, jump, calm]
        low = log_norm[-1][-1]
        up = low + 0.5 * np.linspace(0, 1, 45)
        log_norm += [up, up[-1] - 0.5 * np.arange(length) / length]
        promised += [np.full(45, 1.0), np.full(length, fall)]
    table = pd.DataFrame({"loss": np.concatenate(loss), "norm": np.exp(np.concatenate(log_norm))})
    table["grad_norm"] = np.sqrt(np.concatenate(promised))
    starts = length * np.arange(1, periods + 1) + 45 * np.arange(periods) - 1
    settings = {"lr": 1.0, "weight_decay": 0.5 / length, "momentum": 0.0}
    return table.assign(step=np.arange(len(table)), **settings), starts


@pytest.mark.parametrize("name", CASES)
def test_the_range_holds_the_truth_as_often_as_it_says(name):
    table, starts = table_of(dataclasses.replace(CASES[name], periods=9))
    rng = np.random.default_rng(0)
    right = []
    for row in rng.integers(starts[3], starts[-1] - 5, 25):
        low, _, high = numbers(diagnose(table[:row]))
        rest = starts[starts > row][0] - row
        if not math.isnan(low):
            right.append(low <= rest <= high)
    assert len(right) >= 15
    assert np.mean(right) >= 0.7


def test_what_has_been_survived_counts():
    """The longer a run holds out, the later the jump comes in all, the nearer from here."""
    table, starts = table_of(dataclasses.replace(FAST, jitter=0.0))
    rows = [int(starts[-2]) + share for share in (200, 400, 600)]
    found = [numbers(diagnose(table[:row])) for row in rows]
    for low, median, high in found:
        assert 0 <= low < median < high
    ends = [row + median for row, (_, median, _) in zip(rows, found, strict=True)]
    assert ends == sorted(ends)
    assert found[0][1] > found[1][1] > found[2][1]


@pytest.mark.parametrize("transform", EXACT)
@pytest.mark.parametrize("name", CASES)
def test_units_and_order_do_not_matter(name, transform):
    table, starts = table_of(CASES[name])
    table = table[: starts[-1] - 40]
    before, after = diagnose(table), diagnose(EXACT[transform](table))
    assert not math.isnan(before.forecast.median)
    assert numbers(after) == pytest.approx(numbers(before), rel=1e-5)
    assert after.forecast.reason == before.forecast.reason


@pytest.mark.parametrize("transform", [name for name in EXACT if "norm" not in name])
def test_an_alarm_knows_no_unit_either(transform):
    table, starts = full_batch()
    changed = EXACT[transform](wide(table[: starts[-1] - 10]))
    assert diagnose(changed).forecast.alarm


def test_steps_in_samples_are_counted_in_samples():
    table, starts = table_of(FAST)
    table = table[: starts[-1] - 100]
    plain, samples = diagnose(table), diagnose(in_units(128, table))
    assert numbers(samples) == pytest.approx([128 * each for each in numbers(plain)], rel=1e-6)


def test_an_alarm_comes_before_the_jump_and_not_in_the_calm():
    table, starts = full_batch()
    last = int(starts[-1])
    before = diagnose(table[: last - 10])
    assert before.forecast.alarm and "Alarm: a jump is about to begin. Next jump" in str(before)
    assert "no noise of batches" in before.forecast.reason
    assert not diagnose(table[: last - 120]).forecast.alarm
    assert not diagnose(table[: last - 10].drop(columns="grad_norm")).forecast.alarm


def test_mini_batches_give_no_alarm_and_say_what_decides():
    table, starts = table_of(FAST)
    near = table[: starts[-1] - 3].assign(grad_norm=1.0)
    found = diagnose(near)
    assert not found.forecast.alarm
    assert "the order of the batches decides" in found.forecast.reason
    assert "The order of the batches decides" in str(found)


def test_one_jump_is_too_few():
    table, starts = table_of(FAST)
    found = diagnose(table[: starts[1] - 20])
    assert len(found.events) == 1
    assert np.isnan(numbers(found)).all()
    assert "one jump does not tell" in found.forecast.reason


def test_before_the_first_jump_experience_is_called_that():
    table = quiet(fall=1.0).assign(lr=1.0, weight_decay=2e-4, momentum=0.0)
    found = diagnose(table)
    assert np.isnan(numbers(found)).all() and not found.forecast.calibrated
    assert "from experience, half of the first jumps of" in found.forecast.reason
    assert "No forecast: no jump to judge by; from experience" in str(found)


def test_experience_is_kept_back_where_it_says_nothing():
    """Neither while a schedule runs, nor many times the run ahead."""
    table = quiet(fall=1.0).assign(lr=1.0, weight_decay=2e-4, momentum=0.0)
    falling = table.assign(lr=np.linspace(1.0, 1e-3, len(table)))
    found = diagnose(falling)
    assert found.forecast.reason == (
        "no jump to judge by, and a schedule is changing the learning rate"
    )
    slow = diagnose(table.assign(weight_decay=1e-8))
    assert "experience" not in str(slow)


def test_a_run_at_rest_is_not_told_to_expect_a_jump():
    found = diagnose(quiet().assign(lr=1.0, weight_decay=2e-4, momentum=0.0))
    assert found.label == "equilibrium"
    assert "experience" not in str(found)


def test_settings_that_nobody_knows_give_none():
    table, starts = table_of(FAST)
    found = diagnose(table[: starts[-1] - 50].drop(columns=["lr", "weight_decay"]))
    assert found.forecast.reason.startswith("the learning rate and the weight decay are not known")
    known = diagnose(table[: starts[-1] - 50].drop(columns="weight_decay"))
    assert known.forecast.reason == (
        "the weight decay is not known (weight_decay=…, --weight-decay)"
    )


@pytest.mark.parametrize("name", ["Lion", "Adam", "LAMB", "Strange"])
def test_optimizers_that_were_not_tried_give_none(name):
    table, starts = table_of(FAST)
    rule = update_rule([name], [{}])
    found = diagnose(RunData(table[: starts[-1] - 50], rule=rule, described=True))
    assert np.isnan(found.forecast.median)
    assert f"calibrated for SGD and AdamW, not for {name}" in found.forecast.reason


def test_adamw_has_numbers_of_its_own():
    table, starts = table_of(FAST)
    table = table[: starts[-1] - 50]
    rules = {name: update_rule([name], [{}]) for name in ("SGD", "AdamW")}
    found = {
        name: diagnose(RunData(table, rule=rule, described=True)).forecast
        for name, rule in rules.items()
    }
    assert found["SGD"].calibrated and found["AdamW"].calibrated
    assert found["SGD"].median != found["AdamW"].median


def test_a_learning_rate_that_has_come_down_is_not_due():
    """What matters is the effective learning rate: the norm alone says that the jump is due."""
    table, starts = table_of(FAST)
    row = int(starts[-1]) - 20
    table.loc[row - 100 :, "lr"] *= 0.01
    found = diagnose(table[:row])
    assert np.isnan(found.forecast.median)
    assert found.forecast.reason == SCHEDULED_OUT


def test_a_schedule_that_outruns_weight_decay_gives_none():
    table, starts = table_of(FAST)
    row = int(starts[-1]) - 100
    falling = np.exp(-np.maximum(np.arange(len(table)) - (row - 300), 0) / 50)
    found = diagnose(table.assign(lr=falling)[:row])
    assert np.isnan(found.forecast.median)
    assert "the schedule" in found.forecast.reason


def test_a_schedule_that_has_come_to_nothing_is_over():
    table, starts = table_of(FAST)
    table.loc[starts[-1] - 200 :, "lr"] = 0.0
    found = diagnose(table[: starts[-1] - 100])
    assert found.forecast.reason == SCHEDULED_OUT
    assert found.advice.kind == "over"


def test_a_run_that_has_diverged_has_no_next_jump():
    table, _ = table_of(FAST)
    table.loc[len(table) - 3 :, "loss"] = np.inf
    found = diagnose(table)
    assert found.label == "diverged" and np.isnan(found.forecast.median)
    assert found.forecast.reason == found.reason


def test_after_a_change_of_the_learning_rate_it_is_not_called_calibrated():
    table, starts = table_of(FAST)
    row = int(starts[-1]) - 100
    before = diagnose(table[:row]).forecast
    table.loc[starts[-2] + 100 :, "lr"] *= 0.8
    after = diagnose(table[:row]).forecast
    assert before.calibrated and not after.calibrated
    assert after.median > before.median


def test_a_jump_that_may_have_begun_is_not_forecast():
    table, starts = table_of(FAST)
    for more in (2, 4):
        found = diagnose(table[: starts[-1] + more + 1])
        assert np.isnan(found.forecast.median), more
        assert "jump" in found.forecast.reason


def test_it_is_stored_and_read_back():
    table, starts = full_batch()
    found = diagnose(table[: starts[-1] - 10])
    again = Diagnosis.from_dict(found.to_dict())
    assert again.forecast == found.forecast
    assert found.to_dict()["forecast"]["alarm"] is True


def test_a_bare_table_is_not_called_calibrated():
    table, starts = table_of(FAST)
    bare = table[: starts[-1] - 50].drop(columns="momentum")
    found = diagnose(bare)
    assert not found.forecast.calibrated
    assert "if it is like those that were tried" in str(found)


@pytest.mark.parametrize("net", ["convnet", "resnet18", "per-sample", "unnormalised"])
def test_where_no_range_was_right_none_is_given(net):
    table, starts = table_of(FAST)
    table = table[: starts[-1] - 50]
    assert diagnose(RunData(table, described=True, net="mlp")).forecast.calibrated
    found = diagnose(RunData(table, described=True, net=net))
    assert np.isnan(numbers(found)).all() and not found.forecast.calibrated
    assert "ranges were not right" in str(found) or "not tried" in str(found)
    over = table.assign(lr=np.where(table["step"] < starts[-2] + 100, 1.0, 1e-3))
    assert diagnose(RunData(over, described=True, net=net)).forecast.reason == SCHEDULED_OUT


def test_the_quantiles_are_those_of_the_distribution():
    e, m, s = np.array([-1.0, 0.0, 0.5]), np.array([0.0, 0.1, -0.2]), np.array([0.1, 0.3, 0.2])
    levels = np.array([0.05, 0.5, 0.95])
    rise = rest_of_rise(e, m, s, levels)
    assert rise.shape == (3, 3) and (np.diff(rise) > 0).all()
    for column, level in enumerate(levels):
        np.testing.assert_allclose(chance_within(rise[:, column], e, m, s), level, rtol=1e-9)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_clock_is_that_of_weight_decay(momentum):
    frame = quiet(rows=100).assign(lr=0.1, weight_decay=0.01, momentum=momentum)
    table, _ = read_table(frame, None, None)
    pace = pace_of(series_of(table, 100), 2.0)
    assert pace.rate == pytest.approx(-log_decay(1e-3, momentum), rel=1e-12)
    assert pace.u[-1] == pytest.approx(99 * pace.rate)


def test_a_gap_in_the_settings_is_filled():
    table, starts = table_of(FAST)
    table = table[: starts[-1] - 50]
    sparse = table.assign(lr=table["lr"].where(table.index % 50 == 0))
    assert numbers(diagnose(sparse)) == pytest.approx(numbers(diagnose(table)))


def test_the_fitted_numbers_are_sound():
    assert content()["made_by"] == "python -m benchmarks.foresight.fit"
    for family in ("mini-batch", "full batch", "adamw"):
        found = fitted(family)
        assert len(found.nominal) == len(found.level)
        assert (np.diff(found.level) >= 0).all() and found.level[0] == 0 and found.level[-1] == 1


@pytest.mark.parametrize("name", CASES)
def test_a_run_that_goes_on_is_forecast_as_if_it_were_read_anew(name):
    table, _ = table_of(CASES[name])
    rule = update_rule(["SGD"], [{}])
    live = Live(rule)
    for row in range(0, len(table), 97):
        live.add(table[row : row + 97])
        found = live.forecast()
        if row % (97 * 5) == 0:
            known = RunData(table[: row + 97], rule=rule, described=True)
            expected = diagnose(known).forecast
            assert (found.reason, found.alarm) == (expected.reason, expected.alarm)
            assert dataclasses.astuple(found)[:3] == pytest.approx(
                dataclasses.astuple(expected)[:3], nan_ok=True, rel=1e-9
            )


def test_a_run_that_is_too_long_for_memory_goes_on_being_forecast(monkeypatch):
    monkeypatch.setattr("limitcycle.reading.live.MOST_ROWS", 6_000)
    table, starts = table_of(dataclasses.replace(FAST, periods=40))
    live = Live(update_rule(["SGD"], [{}]))
    for row in range(0, int(starts[-1]) - 100, 50):
        live.add(table[row : row + 50])
    found = live.forecast()
    assert 0 <= found.low < found.high < 5 * FAST.period
