"""Every claim of Figure 19 holds on records made for it and fails on others."""

import pytest

from limitcycle.paper.claim import judge
from limitcycle.paper.figures.figure19 import FIGURE, PAIRS, draw, plain, runs, together
from limitcycle.paper.scale import LAPTOP, QUICK, SCALES
from tests.paper.records import calm, evidence, sawtooth

CLAIMS = {claim.name: claim for claim in FIGURE.claims}
RATES = sorted(together(PAIRS[0])(LAPTOP))
BAND = (1.0, 0.3, 0.1)


def bands(without, with_all, scale=LAPTOP):
    """Every pair with periods at these rates, without and with all modifications."""
    recorded = {}
    for pair in PAIRS:
        for labels, inside in ((plain(pair)(scale), without), (together(pair)(scale), with_all)):
            recorded |= {
                name: sawtooth() if lr in inside else calm() for lr, name in labels.items()
            }
    return evidence(scale, **recorded)


REFUTED = {
    "together-periods": bands(BAND, ()),
    "together-band": bands(BAND[1:2], RATES[1:3]),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_holds_on_records_made_for_it(name):
    finding = judge(CLAIMS[name], bands(BAND, RATES[1:3]))
    assert finding.outcome == "holds", finding


@pytest.mark.parametrize("name", CLAIMS)
def test_fails_on_records_made_to_refute_it(name):
    kind = next(kind for kind in REFUTED if name.startswith(kind))
    finding = judge(CLAIMS[name], REFUTED[kind])
    assert finding.outcome == "fails", finding


@pytest.mark.parametrize("name", CLAIMS)
def test_without_its_runs_it_is_undecided(name):
    assert judge(CLAIMS[name], evidence()).outcome == "undecided"


def test_on_digits_the_twin_that_figure_6_has_not_is_asked_once():
    asked = [claim.name for claim in FIGURE.asked(QUICK)]
    assert asked == ["together-periods-resnet18-cifar10", "together-band-resnet18-cifar10"]


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_its_runs_have_an_estimated_cost(scale):
    assert all(scale.seconds(run) > 0 for run in runs(scale).values())


def test_a_row_a_pair():
    names = ["loss", "test_error", "norm", "confidence"]
    rows = draw(bands(BAND, RATES[:1]))
    assert all([panel.name for panel in row.panels] == names for row in rows)
