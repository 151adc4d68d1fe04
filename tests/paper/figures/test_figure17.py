"""Every claim of Figure 17 holds on a record made for it and fails on one made to refute it."""

import pytest

from limitcycle.paper.claim import judge
from limitcycle.paper.figures.figure17 import FIGURE, PAIRS, draw, head_norms, label, runs, usual
from limitcycle.paper.scale import LAPTOP, QUICK, SCALES
from tests.paper.records import at_once, calm, diverged, evidence, sawtooth, stuck, sure

CLAIMS = {claim.name: claim for claim in FIGURE.claims}


def heads(*, confidences=(0.6, 0.99), lows=(0.1, 1e-3), main=sawtooth, scale=LAPTOP):
    """Every pair with the head as initialised, and with a larger norm: confidence, lowest loss."""
    recorded = {}
    for pair in PAIRS:
        for norm in head_norms(scale, pair):
            at = int(norm is not None)
            record = main() if norm == usual(scale, pair) else sawtooth()
            record.steps["loss"] = record.steps["loss"].clip(lower=lows[at])
            recorded[label(pair, norm)] = sure(record, confidences[at])
    return evidence(scale, **recorded)


REFUTED = {
    "head-norm-low": (heads(confidences=(0.99, 0.6)), heads(lows=(1e-3, 0.1))),
    "head-norm-usual": (heads(main=calm), heads(main=stuck)),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_holds_on_records_made_for_it(name):
    finding = judge(CLAIMS[name], heads())
    assert finding.outcome == "holds", finding


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("name", CLAIMS)
def test_fails_on_records_made_to_refute_it(name, at):
    kind = next(kind for kind in REFUTED if name.startswith(kind))
    finding = judge(CLAIMS[name], REFUTED[kind][at])
    assert finding.outcome == "fails", finding


@pytest.mark.parametrize("name", CLAIMS)
def test_without_its_runs_it_is_undecided(name):
    assert judge(CLAIMS[name], evidence()).outcome == "undecided"


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_its_runs_have_an_estimated_cost(scale):
    assert all(scale.seconds(run) > 0 for run in runs(scale).values())


def test_a_row_a_pair_with_confidence():
    rows = draw(heads())
    names = ["loss", "test_error", "norm", "confidence"]
    assert [[panel.name for panel in row.panels] for row in rows] == [names] * len(PAIRS)
    assert runs(LAPTOP).keys() == heads().recorded.keys()


@pytest.mark.parametrize("record", [diverged, at_once])
@pytest.mark.parametrize("name", [name for name in CLAIMS if "low" in name])
def test_runs_that_diverged_leave_it_undecided(name, record):
    found = evidence(LAPTOP, **{label: record() for label in heads().recorded})
    assert judge(CLAIMS[name], found).outcome == "undecided"


def test_on_digits_both_networks_are_asked_about():
    found = heads(scale=QUICK)
    assert FIGURE.asked(QUICK) == FIGURE.claims
    assert {judge(claim, found).outcome for claim in FIGURE.claims} == {"holds"}


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
@pytest.mark.parametrize("pair", PAIRS)
def test_the_usual_norm_is_that_of_the_main_experiments(scale, pair):
    assert scale.run(pair).head_norm == usual(scale, pair)
    assert usual(scale, pair) in head_norms(scale, pair)
