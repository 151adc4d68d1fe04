"""Sentences name the numbers that they stand for."""

import dataclasses

import numpy as np
import pytest

from limitcycle.reading import diagnose
from limitcycle.reading.words import paragraph
from tests.reading.series import CLEAN, quiet


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
def test_words_begin_with_the_label_and_hold_the_reason(case):
    verdict = diagnose(CASES[case], lr=0.1, weight_decay=0.01)
    assert verdict.headline.startswith(verdict.label)
    assert len(verdict.headline) < 80
    assert verdict.reason in paragraph(verdict)
    assert str(verdict).startswith(f"{paragraph(verdict)} {verdict.advice.text}")
    assert "nan" not in str(verdict)
    assert str(verdict).endswith(".")


def test_a_periodic_run_in_words():
    verdict = diagnose(CASES["periodic"], lr=0.1, weight_decay=0.01)
    assert verdict.headline == f"periodic: 8 jumps, one every {verdict.period:,.0f} steps"
    text = paragraph(verdict)
    for number in ("8 destabilisations", "Effective learning rate", "weight decay", "warm-up"):
        assert number in text


def test_divergence_names_its_step():
    assert "4,990" in diagnose(CASES["diverged"]).headline


def test_a_missing_forecast_has_its_reason():
    assert "No forecast: learning rate" in paragraph(diagnose(CASES["periodic"]))
