"""Every claim of Figure 14 holds on a record made for it and fails on one made to refute it."""

from dataclasses import replace

import numpy as np
import pytest

from limitcycle.paper.claim import judge
from limitcycle.paper.evidence import MissingError
from limitcycle.paper.figures.figure14 import FIGURE, UNITS, draw, last_units
from tests.paper.products import ratios
from tests.paper.records import at_once, diverged, evidence

CLAIMS = {claim.name: claim for claim in FIGURE.claims}
REFUTED = {
    "product-effective-lr": lambda: ratios(norm=(1.0, 1.0, 2.0)),
    "product-effective-gradient": lambda: ratios(low=(1.0, 5.0, 1.0)),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_holds_on_a_record_made_for_it(name):
    finding = judge(CLAIMS[name], ratios())
    assert finding.outcome == "holds", finding


@pytest.mark.parametrize("name", CLAIMS)
def test_fails_on_a_record_made_to_refute_it(name):
    finding = judge(CLAIMS[name], REFUTED[name]())
    assert finding.outcome == "fails", finding


@pytest.mark.parametrize("record", [diverged, at_once])
@pytest.mark.parametrize("name", CLAIMS)
def test_runs_that_diverged_leave_it_undecided(name, record):
    found = evidence(**{label: record() for label in ratios().recorded})
    assert judge(CLAIMS[name], found).outcome == "undecided"


def test_a_run_that_left_no_steps_is_not_drawn():
    history = ratios().first("η = 0.1, λ = 0.01")
    empty = replace(history, clock=history.clock.take(np.empty(0, dtype=int)))
    with pytest.raises(MissingError, match="left no steps"):
        last_units(empty, UNITS)


@pytest.mark.parametrize("name", CLAIMS)
def test_without_its_runs_it_is_undecided(name):
    assert judge(CLAIMS[name], evidence()).outcome == "undecided"


def test_only_the_end_of_the_run_is_enlarged():
    history = ratios().first("η = 0.1, λ = 0.01")
    shown = last_units(history, UNITS)
    assert shown.clock.steps[-1] == history.clock.steps[-1]
    assert len(shown.clock.steps) == len(shown.columns["norm"]) == 2_501


def test_two_panels_a_product():
    names = [panel.name for row in draw(ratios()) for panel in row.panels]
    assert names == ["effective_lr", "effective_grad_norm"] * 2
