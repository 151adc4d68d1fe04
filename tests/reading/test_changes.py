"""Changes from outside are no jumps: of scale, of data, of schedule; and they are said."""

import numpy as np
import pytest

from limitcycle.reading import diagnose
from tests.reading.series import FAST, quiet

ROWS = 5_000
HALF = ROWS // 2


def calm():
    return quiet(rows=ROWS, fall=0.3, loss=(2.3, 0.1), loss_noise=0.1)


def behind(constant):
    """Rows behind the change: 0 before, then rows ÷ ``constant``."""
    return np.maximum(np.arange(ROWS) - HALF, 0) / constant


def thrown_back(table):
    """The norm rises behind the change, as new gradients do that to it."""
    return table.assign(norm=table["norm"] * np.exp(0.3 * (1 - np.exp(-behind(100)))))


@pytest.mark.parametrize("change", [lambda loss: loss + 1, lambda loss: loss * 10])
def test_a_loss_that_changes_its_level_is_no_jump(change):
    table = thrown_back(calm())
    table.loc[table.index > HALF, "loss"] = change(table["loss"])
    found = diagnose(table)
    assert found.events.empty and found.spikes.empty and found.unfinished is None
    assert list(found.changes["kind"]) == ["level"]
    assert any(f"at step {HALF:,}" in note and "not a jump" in note for note in found.notes)


def test_new_data_are_no_jump():
    table = thrown_back(calm())
    later = table.index > HALF
    table.loc[later, "loss"] += 2 * np.exp(-behind(150)[later])
    found = diagnose(table)
    assert found.events.empty
    assert found.changes[["start", "kind"]].to_numpy().tolist() == [[HALF, "data"]]


def test_a_learning_rate_that_is_raised_is_the_cause():
    table = thrown_back(calm()).assign(lr=0.1, weight_decay=1e-3)
    ramp = 2 * np.exp(-behind(50)) * (1 - np.exp(-behind(5)))
    table["loss"] += np.where(table.index > HALF, ramp, 0)
    assert len(diagnose(table).events) == 1
    table.loc[table.index > HALF, "lr"] = 0.5
    found = diagnose(table)
    assert found.events.empty
    assert list(found.changes["kind"]) == ["schedule"]


@pytest.mark.parametrize("factor", [0.1, 10])
def test_jumps_go_on_behind_a_change_of_scale(factor):
    table, starts = FAST.run()
    at = (starts[3] + starts[4]) // 2
    table.loc[table.index > at, "loss"] *= factor
    found = diagnose(table)
    assert found.label == "periodic"
    assert len(found.events) == len(starts)


def test_a_schedule_that_is_over_has_ended_the_jumps():
    table, _ = FAST.run()
    table = table.assign(lr=1.0, weight_decay=1e-3)
    rows = np.arange(600)
    last = table.iloc[-1]
    tail = quiet(rows=600, loss=(1e-3, 1e-3)).assign(
        step=len(table) + rows, norm=float(last["norm"]), lr=1e-5, weight_decay=1e-3
    )
    found = diagnose(table.merge(tail, how="outer"))
    assert found.label == "periodic"
    assert np.isnan(found.forecast.median)
    assert "the schedule" in found.forecast.reason
    assert found.advice.kind == "over" and not found.advice.code
