"""Every claim of Figure 6 holds on a record made for it and fails on one made to refute it."""

import pytest

from limitcycle.paper.claim import judge
from limitcycle.paper.figures.figure06 import FIGURE, constant_rate, draw, plain, runs, together
from limitcycle.paper.questions.modifications import (
    ALL_TRAINED,
    BASE,
    HIGH_MOMENTUM,
    HIGH_PLAIN,
    SAME_RATE,
    TOO_SMALL,
    WITH_AUGMENTATION,
    WITH_MOMENTUM,
)
from limitcycle.paper.scale import LAPTOP, QUICK, SCALES
from tests.paper.records import at_once, calm, diverged, evidence, sawtooth, stuck, sure

CLAIMS = {claim.name: claim for claim in FIGURE.claims}
PLAIN, JOINT, CONSTANT = plain(LAPTOP), together(LAPTOP), constant_rate(LAPTOP)
RATES = sorted(JOINT)


def bands(without, together_at):
    """The plain grid and the one with all modifications, with periods at these rates."""
    recorded = {}
    for labels, inside in ((PLAIN, without), (JOINT, together_at)):
        recorded |= {name: sawtooth() if lr in inside else calm() for lr, name in labels.items()}
    return evidence(LAPTOP, **recorded)


def pair(one, other, a, b):
    """Evidence of two labels."""
    return evidence(**{one: a, other: b})


def ended():
    """A record whose jumps stop after half of it."""
    record = sawtooth()
    half = len(record.steps) // 2
    record.steps.loc[half:, "loss"] = 1e-3
    record.steps.loc[half:, "norm"] = record.steps["norm"][half]
    return record


def schedules(name, record):
    return evidence(**{CONSTANT: sawtooth(), name: record})


BAND = (1.0, 0.3, 0.1)
HOLDS = {
    "momentum-rate": pair(BASE, SAME_RATE, sawtooth(500), sawtooth(520)),
    "trained-keeps-periods": evidence(**{ALL_TRAINED: sawtooth()}),
    "trained-frequency": pair(BASE, ALL_TRAINED, sawtooth(500), sawtooth(900)),
    "momentum-frequency": pair(BASE, WITH_MOMENTUM, sawtooth(900), sawtooth(500)),
    "momentum-phases": pair(BASE, WITH_MOMENTUM, sawtooth(900, relax=60.0), sawtooth(500)),
    "momentum-high-rate": pair(HIGH_PLAIN, HIGH_MOMENTUM, sawtooth(), stuck()),
    "augmentation-onset": pair(BASE, WITH_AUGMENTATION, sawtooth(500), sawtooth(900)),
    "augmentation-confidence": pair(
        BASE, WITH_AUGMENTATION, sure(sawtooth(), 0.99), sure(sawtooth(), 0.9)
    ),
    "augmentation-loss": pair(BASE, WITH_AUGMENTATION, calm(), stuck()),
    "augmentation-small-net": evidence(**{TOO_SMALL: stuck()}),
    "together-periods-convnet-cifar10-wide": bands(BAND, RATES[1:2]),
    "together-band-convnet-cifar10-wide": bands(BAND, RATES[1:3]),
    "schedule-cosine": schedules("cosine", ended()),
    "schedule-step": schedules("step", ended()),
}
REFUTED = {
    "momentum-rate": pair(BASE, SAME_RATE, sawtooth(500), sawtooth(1500)),
    "trained-keeps-periods": evidence(**{ALL_TRAINED: [calm(), stuck(), calm()]}),
    "trained-frequency": pair(BASE, ALL_TRAINED, sawtooth(500), sawtooth(510)),
    "momentum-frequency": pair(BASE, WITH_MOMENTUM, sawtooth(500), sawtooth(900)),
    "momentum-phases": pair(BASE, WITH_MOMENTUM, sawtooth(900), sawtooth(500, relax=60.0)),
    "momentum-high-rate": pair(HIGH_PLAIN, HIGH_MOMENTUM, sawtooth(), sawtooth()),
    "augmentation-onset": pair(BASE, WITH_AUGMENTATION, sawtooth(900), sawtooth(500)),
    "augmentation-confidence": pair(
        BASE, WITH_AUGMENTATION, sure(sawtooth(), 0.9), sure(sawtooth(), 0.99)
    ),
    "augmentation-loss": pair(BASE, WITH_AUGMENTATION, stuck(), calm()),
    "augmentation-small-net": evidence(**{TOO_SMALL: sawtooth(low=0.5, high=20.0)}),
    "together-periods-convnet-cifar10-wide": bands(BAND, ()),
    "together-band-convnet-cifar10-wide": bands(RATES[1:2], RATES[1:3]),
    "schedule-cosine": schedules("cosine", sawtooth()),
    "schedule-step": schedules("step", sawtooth()),
}
UNDECIDED = {
    "trained-keeps-periods": evidence(**{ALL_TRAINED: [calm(), sawtooth(), sawtooth()]}),
    "momentum-frequency": pair(
        BASE, WITH_MOMENTUM, [sawtooth(900), sawtooth(400)], [sawtooth(800), sawtooth(500)]
    ),
    "schedule-cosine": schedules("cosine", calm()),
    "augmentation-loss": pair(BASE, WITH_AUGMENTATION, [calm(), stuck()], [stuck(), calm()]),
    "trained-frequency": pair(BASE, ALL_TRAINED, sawtooth(), calm()),
    "momentum-phases": pair(BASE, WITH_MOMENTUM, sawtooth(), calm()),
    "momentum-high-rate": pair(HIGH_PLAIN, HIGH_MOMENTUM, stuck(), stuck()),
    "augmentation-onset": pair(BASE, WITH_AUGMENTATION, sawtooth(), stuck()),
    "together-band-convnet-cifar10-wide": bands(BAND, RATES[:1]),
    "schedule-step": evidence(**{CONSTANT: calm(), "step": calm()}),
    "augmentation-small-net": evidence(**{TOO_SMALL: calm()}),
    "augmentation-confidence": pair(BASE, WITH_AUGMENTATION, sawtooth(), sure(sawtooth(), 0.9)),
}
LEARNT = evidence(**{TOO_SMALL: sawtooth()})


@pytest.mark.parametrize("name", CLAIMS)
def test_holds_on_a_record_made_for_it(name):
    finding = judge(CLAIMS[name], HOLDS[name])
    assert finding.outcome == "holds", finding


@pytest.mark.parametrize("name", CLAIMS)
def test_fails_on_a_record_made_to_refute_it(name):
    finding = judge(CLAIMS[name], REFUTED[name])
    assert finding.outcome == "fails", finding


@pytest.mark.parametrize("name", CLAIMS)
def test_without_its_runs_it_is_undecided(name):
    assert judge(CLAIMS[name], evidence()).outcome == "undecided"


@pytest.mark.parametrize("name", UNDECIDED)
def test_undecided_where_there_is_nothing_to_compare(name):
    assert judge(CLAIMS[name], UNDECIDED[name]).outcome == "undecided"


def test_a_net_that_learns_the_augmented_data_is_not_too_small():
    assert judge(CLAIMS["augmentation-small-net"], LEARNT).outcome == "undecided"


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_the_smaller_net_is_smaller(scale):
    found = runs(scale)
    assert found[TOO_SMALL].width == found[WITH_AUGMENTATION].width / 2


@pytest.mark.parametrize("record", [diverged, at_once])
@pytest.mark.parametrize(
    "name",
    [
        n
        for n in CLAIMS
        if n.startswith(("aug", "sched", "momentum-h")) and n != "augmentation-loss"
    ],
)
def test_runs_that_diverged_leave_it_undecided(name, record):
    recorded = {label: record() for label in runs(QUICK)} | {HIGH_PLAIN: sawtooth()}
    recorded[CONSTANT] = sawtooth()
    assert judge(CLAIMS[name], evidence(**recorded)).outcome == "undecided"


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_its_runs_have_an_estimated_cost(scale):
    described = runs(scale)
    assert all(scale.seconds(run) > 0 for run in described.values())
    assert constant_rate(scale) in described


def test_three_rows_with_confidence():
    recorded = {name: sure(sawtooth(), 0.9) for name in runs(QUICK)}
    rows = draw(evidence(**recorded))
    names = ["loss", "test_error", "norm", "confidence"]
    assert [[panel.name for panel in row.panels] for row in rows] == [names] * 3
