"""Every claim of Figures 4 and 11 holds on records made for it and fails on ones that refute it."""

import numpy as np
import pytest

from limitcycle.paper.claim import judge
from limitcycle.paper.figures import figure04, figure11
from limitcycle.paper.questions.fixed_norm import EARLY, FRACTIONS, FREE, LATE, LATER, LATEST, label
from limitcycle.paper.questions.full_batch import of_scale
from limitcycle.paper.questions.reading import spikes
from limitcycle.paper.scale import QUICK, SCALES
from limitcycle.reading.history import history_of
from tests.paper.periods import bumpy
from tests.paper.records import at_once, calm, diverged, evidence, sawtooth, stuck

FACTORS = {4: figure04.FACTORS, 11: of_scale(QUICK).factors}
FIGURES = {4: figure04.FIGURE, 11: figure11.FIGURE}
CLAIMS = {claim.name: (n, claim) for n, figure in FIGURES.items() for claim in figure.claims}


def held(record, rate):
    """``record`` at this effective learning rate throughout."""
    record.steps["effective_lr"] = rate
    return record


def runs(number, **changes):
    """Runs as the paper has them, some of them changed."""
    factors = FACTORS[number]
    found = {label(factor): held(calm(), 1e-4) for factor in factors[:-1]}
    found |= {label(factors[-1]): stuck(), FREE: sawtooth(test_error=np.geomspace(0.2, 0.002, 200))}
    found |= dict.fromkeys((LATE, LATER, LATEST), bumpy(calm(test_error=0.05), 2000))
    found |= {EARLY: calm(test_error=0.05)}
    return evidence(**{**found, **changes})


REFUTING = {
    "fixed-norm-start": lambda n: {label(FACTORS[n][1]): bumpy(calm(), 1500, 3000)},
    "fixed-norm-effective-lr": lambda n: {label(FACTORS[n][0]): stuck()},
    "fixed-norm-calm": lambda n: {label(FACTORS[n][0]): held(bumpy(calm(), 2000), 1e-4)},
    "fixed-norm-early": lambda _: {EARLY: bumpy(calm(), 2000)},
    "fixed-norm-late": lambda _: {LATE: bumpy(calm(), 2000, 3000)},
    "fixed-norm-later": lambda _: {LATER: calm()},
    "fixed-norm-latest": lambda _: {LATEST: bumpy(calm(), 2000, 3000)},
    "warm-up-test-error": lambda _: {FREE: sawtooth(test_error=np.linspace(0.01, 0.2, 200))},
    "warm-up-below-fixed": lambda _: {
        FREE: sawtooth(test_error=np.full(200, 0.1)),
        EARLY: calm(test_error=0.001),
    },
}


@pytest.mark.parametrize("name", CLAIMS)
def test_holds_on_records_made_for_it(name):
    number, claim = CLAIMS[name]
    finding = judge(claim, runs(number))
    assert finding.outcome == "holds", finding


@pytest.mark.parametrize("name", CLAIMS)
def test_fails_on_records_made_to_refute_it(name):
    number, claim = CLAIMS[name]
    finding = judge(claim, runs(number, **REFUTING[name.removesuffix("-full-batch")](number)))
    assert finding.outcome == "fails", finding


def spoilt(number, record):
    """All runs with a fixed norm, and the free one, ended early."""
    return evidence(**{name: record() for name in runs(number).recorded})


@pytest.mark.parametrize("record", [diverged, at_once])
@pytest.mark.parametrize("name", CLAIMS)
def test_runs_that_diverged_leave_it_undecided(name, record):
    number, claim = CLAIMS[name]
    assert judge(claim, spoilt(number, record)).outcome == "undecided"


@pytest.mark.parametrize("number", FIGURES)
def test_a_rise_refutes_whatever_the_other_runs_did(number):
    name = "fixed-norm-start" + ("" if number == 4 else "-full-batch")
    factors = FACTORS[number]
    changes = {label(factors[0]): diverged(), label(factors[1]): bumpy(calm(), 1500, 3000)}
    assert judge(CLAIMS[name][1], runs(number, **changes)).outcome == "fails"


@pytest.mark.parametrize(
    ("fixed", "outcome"),
    [(0.12, "holds"), (0.055, "undecided"), (0.045, "undecided"), (0.001, "fails")],
)
def test_a_difference_below_the_room_is_undecided(fixed, outcome):
    changes = {FREE: sawtooth(test_error=np.full(100, 0.05)), EARLY: calm(test_error=fixed)}
    changes[LATE] = calm(test_error=0.12)
    assert judge(CLAIMS["warm-up-below-fixed"][1], runs(4, **changes)).outcome == outcome


def test_test_errors_are_compared_after_as_many_steps():
    """A free run that is ten times as long, and better at its end alone, is not better."""
    falling = np.concatenate([np.full(100, 0.3), np.full(900, 0.001)])
    free = sawtooth(periods=80, test_error=falling)
    found = runs(4, **{FREE: free, EARLY: calm(test_error=0.05), LATE: calm(test_error=0.05)})
    assert judge(CLAIMS["warm-up-below-fixed"][1], found).outcome == "fails"


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_sgd_beside_full_batch_has_the_nearest_product(scale):
    chosen = of_scale(scale)
    product = chosen.close * chosen.weight_decay / scale.weight_decay
    band = [lr for lr in scale.lrs if lr <= 0.3]  # above it Figure 2's runs are stuck somewhere
    assert chosen.sgd == min(band, key=lambda lr: abs(np.log(lr / product)))


@pytest.mark.parametrize("name", CLAIMS)
def test_without_its_runs_it_is_undecided(name):
    assert judge(CLAIMS[name][1], evidence()).outcome == "undecided"


@pytest.mark.parametrize("bumps", [(), (2000,), (1500, 3000)])
def test_rises_are_counted_without_a_moving_norm(bumps):
    assert spikes(history_of(bumpy(calm(), *bumps), "made")) == len(bumps)


def test_a_loss_that_never_came_low_has_no_level_to_rise_from():
    assert spikes(history_of(bumpy(stuck(), 1500, 3000), "made")) == 0


def test_fixed_norms_start_before_the_parents_first_jump(tmp_path):
    parent = sawtooth(periods=3)
    parent.snapshots = [
        tmp_path / f"step-{step - 1:012d}.safetensors" for step in range(50, 800, 50)
    ]
    history = history_of(parent, "parent")
    later = figure04.SPHERES.later(QUICK, {FREE: history})
    jump = min(history.diagnosis.events["start"].iloc[0], history.diagnosis.spikes["start"].iloc[0])
    starts = [int(run.start_from[-24:].split("-")[-1].split(".")[0]) + 1 for run in later.values()]
    assert list(later) == [EARLY, LATE, LATER, LATEST]
    for start, fraction in zip(starts, FRACTIONS.values(), strict=True):
        assert fraction * jump - 50 < start <= fraction * jump
    assert all(run.fixed_norm == "start" for run in later.values())


@pytest.mark.parametrize("number", FIGURES)
def test_the_pictures_pairs_hold_their_own_runs(number):
    figure, line = FIGURES[number].draw(runs(number))
    assert [panel.name for panel in line.panels] == ["spikes", "late_loss"]
    assert [panel.name for panel in figure.panels] == ["loss", "test_error"] * 2
    drawn = [{mark.run for mark in panel.marks} for panel in figure.panels]
    assert drawn == [{0, 1, 2, 3}] * 2 + [{4, 5, 6}] * 2
