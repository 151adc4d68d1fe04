"""Every claim of Figure 15 holds on a record made for it and fails on one made to refute it."""

from itertools import product

import pytest

from limitcycle.paper.claim import judge
from limitcycle.paper.figures.figure15 import FIGURE, PAIRS, draw, label, rates
from limitcycle.paper.scale import LAPTOP, QUICK
from tests.paper.records import at_once, calm, diverged, evidence, sawtooth, stuck

CLAIMS = {claim.name: claim for claim in FIGURE.claims}
PERIODS = {1.0: 150, 0.3: 500, 0.1: 1500}


def grid(*pairs, periods=PERIODS, best=0.01, scale=LAPTOP, top=stuck):
    """Grids whose rates in ``periods`` oscillate."""
    records = {}
    for pair, lr in product(pairs, rates(scale)):
        if lr in periods:
            records[label(pair, lr)] = sawtooth(periods[lr], lr=lr, test_error=best)
        else:
            records[label(pair, lr)] = (top if lr > 1 else calm)(lr=lr, test_error=0.05)
    return evidence(scale, **records)


def phase_a(relax, loss_noise):
    """ResNet-18 on CIFAR-10 at both rates; the fast one with these lengths and noises."""
    fast = sawtooth(1500, relax=relax, loss_noise=loss_noise, lr=LAPTOP.fast_lr)
    slow = sawtooth(1500, relax=15.0, loss_noise=0.2, lr=LAPTOP.lr)
    names = (label("resnet18-cifar10", lr) for lr in (LAPTOP.fast_lr, LAPTOP.lr))
    return evidence(LAPTOP, **dict(zip(names, (fast, slow), strict=True)))


HOLDS = {
    "band-lr-others": lambda: grid(*PAIRS),
    "band-lr-best-error-others": lambda: grid(*PAIRS),
    **{f"band-lr-{pair}": lambda pair=pair: grid(pair) for pair in PAIRS},
    **{f"band-lr-best-error-{pair}": lambda pair=pair: grid(pair) for pair in PAIRS},
    "noisy-phase-a": lambda: phase_a(150.0, 0.4),
}
REFUTED = {
    **{
        f"band-lr-{pair}": lambda pair=pair: grid(pair, periods={1.0: 150, 0.1: 1500})
        for pair in PAIRS
    },
    **{f"band-lr-best-error-{pair}": lambda pair=pair: grid(pair, best=0.2) for pair in PAIRS},
    "band-lr-others": lambda: evidence(
        LAPTOP, **{**grid(*PAIRS[1:]).recorded, **grid(PAIRS[0], top=calm).recorded}
    ),
    "band-lr-best-error-others": lambda: grid(*PAIRS, best=0.2),
    "noisy-phase-a": lambda: phase_a(5.0, 0.1),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_holds_on_a_record_made_for_it(name):
    finding = judge(CLAIMS[name], HOLDS[name]())
    assert finding.outcome == "holds", finding


@pytest.mark.parametrize("name", CLAIMS)
def test_fails_on_a_record_made_to_refute_it(name):
    finding = judge(CLAIMS[name], REFUTED[name]())
    assert finding.outcome == "fails", finding


def test_on_digits_the_twin_that_figure_2_has_not_is_judged_once():
    found = grid(*PAIRS, scale=QUICK)
    judged = {name for name, claim in CLAIMS.items() if judge(claim, found).outcome == "holds"}
    assert judged == {"band-lr-others", "band-lr-best-error-others"}
    measured = judge(CLAIMS["band-lr-others"], found).measured
    assert measured.count("digits twin") == 1


@pytest.mark.parametrize("record", [diverged, at_once])
def test_phase_a_of_a_run_that_diverged_is_undecided(record):
    found = evidence(LAPTOP, **{name: record() for name in phase_a(150.0, 0.4).recorded})
    assert judge(CLAIMS["noisy-phase-a"], found).outcome == "undecided"


@pytest.mark.parametrize("name", CLAIMS)
def test_without_its_runs_it_is_undecided(name):
    assert judge(CLAIMS[name], evidence(LAPTOP)).outcome == "undecided"


def test_the_digits_twin_of_the_wider_convnet_is_figure_2s():
    assert FIGURE.runs(QUICK)[label("convnet-cifar100", 0.3)] == QUICK.shared(0.3)


def test_pairs_with_the_same_runs_share_a_row():
    names = {
        name: record for pair in PAIRS for name, record in grid(pair, scale=QUICK).recorded.items()
    }
    (row,) = draw(evidence(**{name: list(record) for name, record in names.items()}))
    assert row.title.count(" and of ") == 2
