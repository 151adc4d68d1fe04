"""Every claim of Figure 15 holds on a record made for it and fails on one made to refute it."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
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


def test_on_digits_the_twin_that_figure_2_has_not_is_asked_once():
    asked = [claim.name for claim in FIGURE.asked(QUICK)]
    assert asked == ["band-lr-resnet18-cifar10", "band-lr-best-error-resnet18-cifar10"]


@pytest.mark.parametrize(("outside", "outcome"), [(0.011, "undecided"), (0.009, "undecided")])
def test_best_errors_inside_the_noise_are_undecided(outside, outcome):
    found = grid("convnet-cifar100", best=0.01)
    for name, records in found.recorded.items():
        for record in records:
            inside = any(name.endswith(f"= {lr:g}") for lr in PERIODS)
            record.epochs["test_error"] = 0.01 if inside else outside
    assert judge(CLAIMS["band-lr-best-error-convnet-cifar100"], found).outcome == outcome


def test_errors_as_high_as_a_guess_are_undecided():
    found = grid("convnet-cifar100", best=0.86)
    for records in found.recorded.values():
        for record in records:
            record.run = replace(record.run, data="cifar100", classes=10)
            record.epochs["test_error"] += 0.05
    finding = judge(CLAIMS["band-lr-best-error-convnet-cifar100"], found)
    assert finding.outcome in ("undecided", "fails")


def test_equally_many_evaluations_are_compared():
    """The smallest of a thousand draws is smaller than that of ten, and means nothing."""
    found = grid("convnet-cifar100", best=0.05)
    rng = np.random.default_rng(0)
    for name, records in found.recorded.items():
        count = 1_000 if name.endswith("= 3") else 10
        for record in records:
            at = np.linspace(0, len(record.steps), count).astype(int)
            errors = rng.uniform(0.05, 0.15, count)
            record.epochs = pd.DataFrame({"epoch": at / 11, "step": at, "test_error": errors})
    finding = judge(CLAIMS["band-lr-best-error-convnet-cifar100"], found)
    assert "by 10 evaluations" in finding.measured


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
