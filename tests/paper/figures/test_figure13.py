"""Every claim of Figure 13 holds on a record made for it and fails on one made to refute it."""

import numpy as np
import pytest

from limitcycle.paper.claim import judge
from limitcycle.paper.figures.figure13 import FIGURE, draw
from limitcycle.paper.questions.products import labels, warm_up
from limitcycle.paper.questions.rescaling import EPS_ALONE, rescaled
from limitcycle.paper.scale import QUICK
from tests.paper.products import ratios
from tests.paper.records import at_once, calm, diverged, evidence, made
from tests.reading.series import quiet

CLAIMS = {claim.name: claim for claim in FIGURE.claims}


def pairs(row=None, parts_from=None, rows=1000):
    """Runs and their rescaled twins; a ``row`` differs by one bit, eps parts them at a step."""
    plain = quiet(rows=rows)
    twin = plain.assign(norm=2 * plain["norm"])
    if row is not None:
        twin.loc[row, "loss"] = np.nextafter(twin.loc[row, "loss"], 9)
    alone = plain.assign(norm=2 * plain["norm"])
    if parts_from is not None:
        alone.loc[parts_from:, "loss"] *= 1.02
    twins = {rescaled(name): made(twin) for name in ("SGD", "momentum")}
    records = {"SGD": made(plain), "momentum": made(plain), EPS_ALONE: made(alone)}
    return evidence(**records, **twins)


def falling(rate):
    """Every ratio's norm falls at ``rate`` times that of weight decay, for 1/(ηλ) steps."""
    found = {}
    for product, names in labels(QUICK).items():
        for name in names:
            lr, decay = (float(part.split("=")[1]) for part in name.split(","))
            frame = quiet(rows=round(1 / product), fall=rate)
            found[name] = made(frame, lr=lr, weight_decay=decay)
    return evidence(**found)


HOLDS = {
    "product-period": ratios,
    "product-loss": ratios,
    "product-test-error": ratios,
    "product-warm-up": ratios,
    "linear-convergence": lambda: falling(1.0),
    "rescaling-bitwise": pairs,
    "rescaling-eps": lambda: pairs(parts_from=87),
}
REFUTED = {
    "product-period": lambda: ratios(periods=(1.0, 1.0, 2.0)),
    "product-loss": lambda: ratios(low=(1.0, 5.0, 1.0)),
    "product-test-error": lambda: ratios(errors=(0.01, 0.01, 0.05)),
    "product-warm-up": lambda: ratios(lengths=(2.0, 1.0, 0.4)),
    "linear-convergence": lambda: falling(0.7),
    "rescaling-bitwise": lambda: pairs(row=500),
    "rescaling-eps": pairs,
}


@pytest.mark.parametrize("name", CLAIMS)
def test_holds_on_a_record_made_for_it(name):
    finding = judge(CLAIMS[name], HOLDS[name]())
    assert finding.outcome == "holds", finding


@pytest.mark.parametrize("name", CLAIMS)
def test_fails_on_a_record_made_to_refute_it(name):
    finding = judge(CLAIMS[name], REFUTED[name]())
    assert finding.outcome == "fails", finding


@pytest.mark.parametrize("record", [diverged, at_once])
@pytest.mark.parametrize("name", CLAIMS)
def test_runs_that_diverged_leave_it_undecided(name, record):
    found = {**ratios().recorded, **pairs().recorded}
    finding = judge(CLAIMS[name], evidence(**{label: record() for label in found}))
    if name != "rescaling-bitwise":  # for which a run and its twin may end alike
        assert finding.outcome == "undecided", finding
    else:
        assert finding.outcome != "holds", finding


@pytest.mark.parametrize("rows", [1, 999])
def test_fewer_rows_than_a_thousand_show_nothing(rows):
    assert judge(CLAIMS["rescaling-bitwise"], pairs(rows=rows)).outcome == "undecided"


def calm_at_one_ratio():
    found = dict(ratios().recorded)
    label = "η = 0.1, λ = 0.01"
    return evidence(**{**found, label: calm(lr=0.1)})


@pytest.mark.parametrize(
    ("name", "outcome"),
    [("product-period", "fails"), ("product-loss", "undecided"), ("product-warm-up", "undecided")],
)
def test_a_ratio_without_periods(name, outcome):
    assert judge(CLAIMS[name], calm_at_one_ratio()).outcome == outcome


def test_errors_that_were_not_measured_leave_it_undecided():
    found = ratios(errors=(np.nan, 0.01, 0.01))
    assert judge(CLAIMS["product-test-error"], found).outcome == "undecided"


@pytest.mark.parametrize("name", CLAIMS)
def test_without_its_runs_it_is_undecided(name):
    assert judge(CLAIMS[name], evidence()).outcome == "undecided"


def test_warm_up_lasts_until_the_consistent_stage():
    found = ratios().first("η = 0.1, λ = 0.01")
    assert warm_up(found) == pytest.approx(1.0, abs=0.1)


def test_panels_of_a_column_have_the_same_limits():
    first, second = draw(ratios(errors=(0.01, 0.02, 0.03)))
    assert [panel.y.limits for panel in first.panels] == [p.y.limits for p in second.panels]
    assert all(panel.y.limits for panel in first.panels)


def test_all_ratios_keep_the_product():
    runs = FIGURE.runs(QUICK)
    found = {float(f"{run.lr * run.weight_decay:.6g}") for run in runs.values()}
    assert found == {1e-3, 3e-3}
