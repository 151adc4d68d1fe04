"""Every claim of Figure 2 holds on a record made for it and fails on one made to refute it."""

import pytest

from limitcycle.paper.claim import judge
from limitcycle.paper.figures.figure02 import FIGURE, label
from limitcycle.paper.scale import QUICK
from tests.paper.records import calm, evidence, sawtooth, stuck

CLAIMS = {claim.name: claim for claim in FIGURE.claims}
PERIODS = {3.0: 60, 1.0: 150, 0.3: 500, 0.1: 1500}


def grid(periods=PERIODS, scale=1.0, best=0.01):
    """A grid whose rates in ``periods`` oscillate, with ρ² ∝ η^(scale/2)."""
    records = {}
    for lr in QUICK.lrs:
        error = best if lr in periods else 0.05
        if lr in periods:
            record = sawtooth(periods[lr], lr=lr, test_error=error)
            record.steps["norm"] *= lr ** (scale / 4)
        else:
            record = (stuck if lr > 1 else calm)(lr=lr, test_error=error)
        records[label(lr)] = record
    return evidence(**records)


HOLDS = {
    "band-lr": grid,
    "band-lr-best-error": grid,
    "frequency-lr": grid,
    "norm-lr": grid,
    "warm-up-lr": grid,
    "control-weight-decay": lambda: evidence(**{"no weight decay": calm()}),
    "control-normalisation": lambda: evidence(**{"no normalisation": calm()}),
    "group-norm": lambda: evidence(GroupNorm=sawtooth()),
    "layer-norm": lambda: evidence(LayerNorm=sawtooth()),
}
REFUTED = {
    "band-lr": lambda: grid({3.0: 60, 0.3: 500, 0.003: 1500}),
    "band-lr-best-error": lambda: grid(best=0.2),
    "frequency-lr": lambda: grid(dict.fromkeys(PERIODS, 500)),
    "norm-lr": lambda: grid(scale=-1.0),
    "warm-up-lr": lambda: grid({3.0: 1500, 1.0: 500, 0.3: 150, 0.1: 60}),
    "control-weight-decay": lambda: evidence(**{"no weight decay": [calm(), sawtooth()]}),
    "control-normalisation": lambda: evidence(**{"no normalisation": [calm(), sawtooth()]}),
    "group-norm": lambda: evidence(GroupNorm=calm()),
    "layer-norm": lambda: evidence(LayerNorm=[calm(), stuck()]),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_holds_on_a_record_made_for_it(name):
    finding = judge(CLAIMS[name], HOLDS[name]())
    assert finding.outcome == "holds", finding


@pytest.mark.parametrize("name", CLAIMS)
def test_fails_on_a_record_made_to_refute_it(name):
    finding = judge(CLAIMS[name], REFUTED[name]())
    assert finding.outcome == "fails", finding


@pytest.mark.parametrize("name", CLAIMS)
def test_without_its_runs_it_is_undecided(name):
    assert judge(CLAIMS[name], evidence()).outcome == "undecided"
