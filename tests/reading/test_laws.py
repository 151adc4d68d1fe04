"""Laws of a reading: what cannot matter does not, and what hides jumps is said."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from benchmarks.transforms import BLURRED, EXACT, UNITS, cautious, in_units
from limitcycle.reading import diagnose
from tests.reading.laws import jumps, spikes, wide
from tests.reading.series import OSCILLATORS, quiet

MADE = {
    **{name: recipe.run()[0] for name, recipe in OSCILLATORS.items()},
    "one jump": dataclasses.replace(OSCILLATORS["fast"], periods=1).run()[0],
    "equilibrium": quiet(),
    "stuck": quiet(loss=(2.3, 1.0), wander=0.3, loss_noise=0.6),
    "falling": quiet(fall=1.0),
}
SETTINGS = {"lr": 0.1, "weight_decay": 0.01, "momentum": 0.0}


@pytest.mark.parametrize("transform", EXACT)
@pytest.mark.parametrize("name", MADE)
def test_what_cannot_matter_does_not(name, transform):
    table = wide(MADE[name])
    before, after = diagnose(table), diagnose(EXACT[transform](table))
    assert jumps(after) == jumps(before)
    assert spikes(after) == spikes(before)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", MADE)
def test_times_are_in_the_units_of_the_step(name, unit):
    table = wide(MADE[name])
    before, after = diagnose(table), diagnose(in_units(UNITS[unit], table))
    assert after.label == before.label
    assert (after.events["start"] == before.events["start"] * UNITS[unit]).all()


def test_steps_in_samples_are_no_other_run():
    """Free decay is told by the rates, which act by updates, not by samples."""
    step = np.arange(2_000)
    norm = 8 * np.exp(-1e-5 * step)
    loss = 2 * np.exp(-step / 200) + 0.01 + 0.001 * np.random.default_rng(0).random(2_000)
    table = pd.DataFrame({"step": step, "loss": loss, "norm": norm, "lr": 0.01})
    table["weight_decay"] = 1e-3
    by_updates, by_samples = diagnose(table), diagnose(table.assign(step=step * 128))
    assert by_updates.label == by_samples.label == "converging"
    assert by_samples.advice.tempo == pytest.approx(128 * by_updates.advice.tempo)
    assert any("look like samples or tokens, 128 an update" in note for note in by_samples.notes)


@pytest.mark.parametrize("transform", BLURRED)
@pytest.mark.parametrize("name", MADE)
def test_no_label_changes_without_a_word(name, transform):
    table = wide(MADE[name])
    before, after = diagnose(table), diagnose(BLURRED[transform](table))
    assert after.label == before.label or cautious(after)


@pytest.mark.parametrize("name", [name for name in MADE if name not in ("noisy", "stuck")])
def test_nothing_is_said_of_a_table_that_shows_its_jumps(name):
    """The norms of the two others go to and fro from row to row."""
    assert not cautious(diagnose(MADE[name]))
