"""Sentences name the numbers that they stand for."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

from limitcycle.reading import diagnose
from tests.reading.series import CLEAN, FAST, quiet


def diverged():
    frame = quiet()
    frame.loc[4990:, "loss"] = np.inf
    return frame


CASES = {
    "periodic": CLEAN.run()[0],
    "equilibrium": quiet(),
    "stuck": quiet(loss=(2.3, 1.0)),
    "converging": quiet(fall=1.0),
    "diverged": diverged(),
    "unknown": quiet(rows=12),
    "one jump": dataclasses.replace(CLEAN, periods=1).run()[0],
    "empty": quiet().head(0),
}


@pytest.mark.parametrize("case", CASES)
def test_words_have_their_order_and_a_line_each(case):
    verdict = diagnose(CASES[case], lr=0.1, weight_decay=0.01)
    assert verdict.headline.startswith(verdict.label)
    assert len(verdict.headline) < 80
    lines = str(verdict).splitlines()
    assert lines[0] == f"{verdict.headline}."
    assert verdict.advice.text in lines[1:]
    told = lines.index(verdict.advice.text)
    if verdict.advice.code:
        assert lines[told + 1] == f"    {verdict.advice.code}"
    notes = lines[told + 1 + bool(verdict.advice.code) :]
    assert notes == [f"Note: {note}." for note in verdict.notes]
    assert "nan" not in str(verdict)


@pytest.mark.parametrize("case", CASES)
def test_what_is_said_is_short(case):
    verdict = diagnose(CASES[case], lr=0.1, weight_decay=0.01, momentum=0.0)
    said = [line for line in str(verdict).splitlines() if not line.startswith(("Note:", "    "))]
    assert len(" ".join(said).split()) <= 100
    numbers = lines_of_numbers(verdict)
    assert len(re.findall(r"[0-9][0-9.,]*(?:e-?[0-9]+)?", numbers)) <= 4


def lines_of_numbers(verdict):
    return str(verdict).splitlines()[1]


def test_a_periodic_run_in_words():
    verdict = diagnose(CASES["periodic"], lr=0.1, weight_decay=0.01)
    assert verdict.headline == f"periodic: 8 jumps, one every {verdict.period:,.0f} steps"
    assert "8 destabilisations" in verdict.reason
    assert "A jump takes the loss to 5 and the norm up" in str(verdict)
    assert "Next jump: in " in str(verdict) or "The next jump is due" in str(verdict)


def test_divergence_names_its_step():
    assert "4,990" in diagnose(CASES["diverged"]).headline


def test_a_missing_forecast_has_its_reason():
    assert "No forecast: the learning rate and the weight decay are not known (" in str(
        diagnose(CASES["periodic"])
    )


def test_a_norm_that_stands_still_is_not_said_to_fall_by_nothing():
    said = str(diagnose(quiet()))
    assert "stood still" in said
    assert "0.0%" not in said


def test_jumps_of_many_sizes_have_no_typical_one():
    events = [dataclasses.replace(FAST, periods=4, high=high, seed=1) for high in (0.1, 10.0)]
    first, second = (recipe.run()[0] for recipe in events)
    second = second.assign(step=second["step"] + len(first))
    table = pd.concat([first, second.assign(norm=second["norm"] * first["norm"].iloc[-1] / 5)])
    assert re.search(r"takes the loss to 0\.\d+ to \d+ and", str(diagnose(table)))


def test_spikes_that_are_no_jumps_are_named():
    table = quiet()
    table.loc[[2_000, 3_000], "loss"] = 2.0
    said = diagnose(table)
    assert said.label == "equilibrium"
    assert said.spikes["peak"].tolist() == [2_000, 3_000]
    assert "2 spikes, the last at step 3,000, did not throw the norm back" in str(said)
