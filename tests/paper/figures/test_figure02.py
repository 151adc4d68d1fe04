"""Every claim of Figure 2 holds on a record made for it and fails on one made to refute it."""

import numpy as np
import pytest

from limitcycle.paper.claim import judge
from limitcycle.paper.figures.figure02 import FIGURE, NO_NORMALISATION, OTHERS, at_rate, label
from limitcycle.paper.scale import QUICK
from tests.paper.periods import bumpy
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


def gradients(factor):
    """Both main rates with an effective gradient that begins ``factor`` times as large."""
    recorded = {}
    for lr in (QUICK.lr, QUICK.fast_lr):
        record = sawtooth(500, lr=lr)
        record.steps["effective_grad_norm"] *= factor ** np.exp(-record.steps["step"] / 1000)
        recorded[label(lr)] = record
    return evidence(**recorded)


def control(name, *records):
    """A control beside free norms with many spikes."""
    free = {label(lr): [sawtooth()] * len(records) for lr in (QUICK.lr, QUICK.fast_lr)}
    return evidence(**free, **{name: list(records)})


def other(name, fast, slow):
    """Another normalisation at the two main rates."""
    return evidence(**{at_rate(name, QUICK.fast_lr): fast, at_rate(name, QUICK.lr): slow})


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
    "warm-up-jumps-gradient": lambda: gradients(5.0),
    "period-units-lr": lambda: grid({3.0: 60, 1.0: 200, 0.3: 800, 0.1: 3000}),
    "control-weight-decay": lambda: control("no weight decay", calm(), bumpy(calm(), 2000)),
    "control-normalisation": lambda: control(NO_NORMALISATION, calm(), stuck()),
    "group-norm": lambda: other("GroupNorm", stuck(), sawtooth()),
    "layer-norm": lambda: other("LayerNorm", sawtooth(), calm()),
}
REFUTED = {
    "band-lr": lambda: grid({3.0: 60, 0.3: 500, 0.003: 1500}),
    "band-lr-best-error": lambda: grid(best=0.2),
    "frequency-lr": lambda: grid({3.0: 1500, 1.0: 500, 0.3: 150, 0.1: 60}),
    "period-units-lr": grid,
    "warm-up-jumps-gradient": lambda: gradients(0.2),
    "norm-lr": lambda: grid(scale=-1.0),
    "warm-up-lr": lambda: grid({3.0: 1500, 1.0: 500, 0.3: 150, 0.1: 60}),
    "warm-up-jumps-norm": lambda: first_jump_at(0.7),
    # The norm of a control tells nothing: spikes count though it never turns.
    "control-weight-decay": lambda: control("no weight decay", bumpy(calm(), 1500, 3000)),
    "control-normalisation": lambda: control(NO_NORMALISATION, sawtooth()),
    "group-norm": lambda: other("GroupNorm", calm(), stuck()),
    "layer-norm": lambda: other("LayerNorm", [calm(), stuck()], [calm(), calm()]),
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
    "control-weight-decay": lambda: control("no weight decay", calm(), diverged()),
    "control-normalisation": lambda: control(NO_NORMALISATION, at_once()),
    "group-norm": lambda: other("GroupNorm", [sawtooth(), calm()], [calm(), calm()]),
}


@pytest.mark.parametrize("name", UNDECIDED)
def test_undecided_where_a_premise_is_missing(name):
    finding = judge(CLAIMS[name], UNDECIDED[name]())
    assert finding.outcome == "undecided", finding


@pytest.mark.parametrize("record", [calm, sawtooth, diverged])
def test_a_highest_rate_that_is_not_stuck_refutes_the_band(record):
    assert judge(CLAIMS["band-lr"], top(record)).outcome == "fails"


def test_both_other_normalisations_are_run_at_both_rates():
    runs = FIGURE.runs(QUICK)
    assert all(at_rate(name, lr) in runs for name in OTHERS for lr in (QUICK.lr, QUICK.fast_lr))


@pytest.mark.parametrize("name", CLAIMS)
def test_without_its_runs_it_is_undecided(name):
    assert judge(CLAIMS[name], evidence()).outcome == "undecided"
