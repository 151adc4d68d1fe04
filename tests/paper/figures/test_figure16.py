"""Every claim of Figure 16 holds on a record made for it and fails on one made to refute it."""

import pytest

from limitcycle.paper.claim import judge
from limitcycle.paper.figures import figure15
from limitcycle.paper.figures.figure16 import FIGURE, PAIRS, WEIGHT_DECAYS, label
from limitcycle.paper.scale import LAPTOP, QUICK
from tests.paper.records import calm, evidence, sawtooth, stuck

CLAIMS = {claim.name: claim for claim in FIGURE.claims}
PERIODS = {0.015: 120, 0.005: 400, 0.0015: 1200}


def grid(pair, periods=PERIODS, best=0.01):
    """The grid of a pair whose weight decays in ``periods`` oscillate."""
    records = {}
    for value in WEIGHT_DECAYS["laptop"]:
        settings = {"lr": 0.3, "weight_decay": value}
        if value in periods:
            record = sawtooth(periods[value], test_error=best, **settings)
        else:
            record = (stuck if value > 0.1 else calm)(test_error=0.05, **settings)
        records[label(pair, value)] = record
    return evidence(LAPTOP, **records)


REFUTED = {
    "band-weight-decay": lambda pair: grid(pair, {0.015: 120, 0.0015: 1200, 0.0003: 1200}),
    "band-weight-decay-best-error": lambda pair: grid(pair, best=0.2),
    "frequency-weight-decay": lambda pair: grid(pair, {0.015: 1200, 0.005: 400, 0.0015: 120}),
}
CASES = [(kind, pair) for kind in REFUTED for pair in PAIRS]


def test_every_claim_is_tried():
    assert {claim_of(kind, pair).name for kind, pair in CASES} == set(CLAIMS)


def claim_of(kind, pair):
    return CLAIMS[f"{kind}-{pair}"]


def test_on_digits_each_twin_is_asked_once():
    pairs = [claim.pair for claim in FIGURE.asked(QUICK)]
    assert pairs == ["convnet-cifar10"] * 3 + ["resnet18-cifar10"] * 3


@pytest.mark.parametrize(("kind", "pair"), CASES)
def test_holds_on_a_record_made_for_it(kind, pair):
    finding = judge(claim_of(kind, pair), grid(pair))
    assert finding.outcome == "holds", finding


@pytest.mark.parametrize(("kind", "pair"), CASES)
def test_fails_on_a_record_made_to_refute_it(kind, pair):
    finding = judge(claim_of(kind, pair), REFUTED[kind](pair))
    assert finding.outcome == "fails", finding


@pytest.mark.parametrize("name", CLAIMS)
def test_without_its_runs_it_is_undecided(name):
    assert judge(CLAIMS[name], evidence()).outcome == "undecided"


def test_cells_at_the_scales_weight_decay_are_those_of_other_figures():
    runs = FIGURE.runs(LAPTOP)
    assert runs[label("convnet-cifar10", 0.005)] == LAPTOP.shared(LAPTOP.fast_lr)
    other = figure15.FIGURE.runs(LAPTOP)
    for pair in figure15.PAIRS:
        assert runs[label(pair, 0.005)] == other[figure15.label(pair, LAPTOP.fast_lr)]
