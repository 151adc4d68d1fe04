"""A run as series against time."""

import dataclasses

import numpy as np
import pytest

from limitcycle.reading import diagnose
from limitcycle.reading.clock import Clock
from limitcycle.reading.history import history_of, running_mean
from limitcycle.reading.period import periods, typical_period
from tests.paper.records import sawtooth


def test_its_diagnosis_is_that_of_the_door():
    for momentum in (0.0, 0.5):
        run = sawtooth(momentum=momentum)
        assert history_of(run, "run").diagnosis.to_dict() == diagnose(run).to_dict()


def test_its_forecast_goes_by_how_the_norm_fell():
    """Momentum makes weight decay act faster; how fast the norm really falls is seen in it."""
    plain, moving = (history_of(sawtooth(momentum=mu), "run") for mu in (0.0, 0.5))
    said = moving.diagnosis.forecast.median
    assert said == pytest.approx(plain.diagnosis.forecast.median, rel=0.02)
    assert moving.momentum == 0.5 and moving.threshold is None and plain.threshold > 0


def test_a_typical_period_is_one_of_the_later_ones():
    history = history_of(sawtooth(), "run")
    found = periods(history)
    typical = typical_period(history)
    assert typical in found[len(found) // 2 :]
    assert typical.phase_a < typical.phase_b < typical.phase_c < typical.end
    early = dataclasses.replace(
        history.diagnosis, events=history.diagnosis.events.head(1), phases=history.diagnosis.phases
    )
    assert typical_period(dataclasses.replace(history, diagnosis=early)) is None


def test_running_mean_is_centred_and_leaves_out_what_is_missing():
    values = np.array([1.0, 2.0, np.nan, np.inf, 8.0])
    assert running_mean(values, 3) == pytest.approx([1.5, 1.5, 2.0, 8.0, 8.0])
    assert running_mean(values, 1) is values


def test_a_clock_without_epochs_says_so():
    assert Clock(np.arange(3.0)).on("epochs") is None


def test_instants_are_taken_on_every_axis():
    steps = np.arange(5.0)
    taken = Clock(steps, steps / 10).take(np.array([1, 3]))
    assert taken.steps.tolist() == [1, 3] and taken.epochs.tolist() == [0.1, 0.3]
    assert taken.periods is None
