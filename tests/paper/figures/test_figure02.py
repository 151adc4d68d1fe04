"""Every claim of Figure 2 holds on a record made for it and fails on one made to refute it."""

import numpy as np
import pytest

from limitcycle.paper.claim import judge
from limitcycle.paper.figures.figure02 import FIGURE, label
from limitcycle.paper.scale import QUICK
from tests.paper.records import at_once, calm, diverged, evidence, sawtooth, stuck

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


def first_jump_at(factor):
    """Both main rates with their first jump at about ``factor`` times the later ones' norm."""
    recorded = {}
    for lr in (QUICK.lr, QUICK.fast_lr):
        record = sawtooth(500, lr=lr)
        record.steps["norm"] *= factor ** (2 * np.exp(-record.steps["step"] / 1000))
        recorded[label(lr)] = record
    return evidence(**recorded)


def lowest(record):
    """The grid with another record at its lowest rate."""
    found = grid()
    return evidence(**{**found.recorded, label(QUICK.lrs[-1]): record(lr=QUICK.lrs[-1])})


def top(record):
    """The grid with another record at its highest rate."""
    return evidence(**{**grid().recorded, label(QUICK.lrs[0]): record(lr=QUICK.lrs[0])})


HOLDS = {
    "band-lr": grid,
    "band-lr-best-error": grid,
    "frequency-lr": grid,
    "norm-lr": grid,
    "warm-up-lr": grid,
    "warm-up-jumps-norm": lambda: first_jump_at(1.5),
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
    "warm-up-jumps-norm": lambda: first_jump_at(0.7),
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


UNDECIDED = {
    "band-lr": lambda: lowest(diverged),
    "band-lr-best-error": lambda: lowest(at_once),
    "warm-up-jumps-norm": lambda: evidence(**{label(r): calm() for r in (0.1, 0.3)}),
    "control-weight-decay": lambda: evidence(**{"no weight decay": [calm(), diverged()]}),
    "control-normalisation": lambda: evidence(**{"no normalisation": at_once()}),
}


@pytest.mark.parametrize("name", UNDECIDED)
def test_undecided_where_a_premise_is_missing(name):
    finding = judge(CLAIMS[name], UNDECIDED[name]())
    assert finding.outcome == "undecided", finding


@pytest.mark.parametrize("record", [calm, sawtooth, diverged])
def test_a_highest_rate_that_is_not_stuck_refutes_the_band(record):
    assert judge(CLAIMS["band-lr"], top(record)).outcome == "fails"


def test_a_periodic_seed_refutes_a_control_whatever_the_others_did():
    seeds = evidence(**{"no weight decay": [diverged(), sawtooth()]})
    assert judge(CLAIMS["control-weight-decay"], seeds).outcome == "fails"


@pytest.mark.parametrize("name", CLAIMS)
def test_without_its_runs_it_is_undecided(name):
    assert judge(CLAIMS[name], evidence()).outcome == "undecided"
