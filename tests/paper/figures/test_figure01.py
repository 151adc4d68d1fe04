"""Every claim of Figure 1 holds on a record made for it and fails on one made to refute it."""

import pytest

from limitcycle.paper.claim import judge
from limitcycle.paper.figures.figure01 import FIGURE, PAIRS, RATES, label
from limitcycle.paper.scale import LAPTOP, QUICK
from tests.paper.records import calm, evidence, sawtooth, stuck

CLAIMS = {claim.name: claim for claim in FIGURE.claims}


def rates(pair, *records):
    """A record a learning rate."""
    names = (label(pair, lr) for lr in RATES["laptop"])
    return evidence(LAPTOP, **dict(zip(names, records, strict=True)))


@pytest.mark.parametrize("pair", PAIRS)
def test_holds_on_a_record_made_for_it(pair):
    finding = judge(CLAIMS[f"all-trained-{pair}"], rates(pair, stuck(), sawtooth(), calm()))
    assert finding.outcome == "holds", finding


@pytest.mark.parametrize("pair", PAIRS)
def test_fails_on_a_record_made_to_refute_it(pair):
    finding = judge(CLAIMS[f"all-trained-{pair}"], rates(pair, stuck(), calm(), calm()))
    assert finding.outcome == "fails", finding


@pytest.mark.parametrize("name", CLAIMS)
def test_without_its_runs_it_is_undecided(name):
    assert judge(CLAIMS[name], evidence()).outcome == "undecided"


def test_all_weights_are_trained():
    assert all(run.train_head and run.norm == "batch-affine" for run in FIGURE.runs(QUICK).values())
