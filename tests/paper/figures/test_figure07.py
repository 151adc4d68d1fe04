"""Figures 7 and 8 are theory: their claims hold, and fail for another map or sequence."""

import numpy as np
import pytest

from limitcycle.paper.claim import judge
from limitcycle.paper.figures import figure07, figure08
from limitcycle.theory import phi
from tests.paper.records import evidence

FIGURES = (figure07.FIGURE, figure08.FIGURE)


@pytest.mark.parametrize("claim", [c for f in FIGURES for c in f.claims], ids=lambda c: c.name)
def test_holds(claim):
    finding = judge(claim, evidence())
    assert finding.outcome == "holds", finding


@pytest.mark.parametrize(
    "other",
    [
        lambda gamma, alpha: phi(gamma, alpha) + 0.01,
        lambda gamma, alpha: (1 - alpha) * gamma + alpha,
        lambda gamma, alpha: phi(gamma, 2 * alpha),
    ],
)
def test_another_map_fails(other):
    assert figure07.shape(other)(evidence()).outcome == "fails"


@pytest.mark.parametrize("check", [figure08.comes_in, figure08.between])
@pytest.mark.parametrize(
    "other",
    [
        lambda _: np.full(figure08.STEPS + 1, figure08.START),
        lambda seed: 3 * figure08.drawn(seed),
    ],
)
def test_another_sequence_fails(check, other):
    assert check(other)(evidence()).outcome == "fails"


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: str(figure.number))
def test_they_are_drawn_without_runs(figure):
    (drawn,) = figure.draw(evidence())
    assert len(drawn.panels) == 2
