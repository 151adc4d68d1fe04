"""Every claim of Figures 9, 10 and 12 holds on records made for it and fails on ones against it."""

import pytest

from limitcycle.paper.claim import judge
from limitcycle.paper.figures import figure02, figure09, figure10, figure12
from limitcycle.paper.questions.full_batch import label, of_scale
from limitcycle.paper.scale import QUICK
from tests.paper.periods import changed, oscillating, reshaped
from tests.paper.records import calm, evidence, sawtooth

CLAIMS = {c.name: c for f in (figure09, figure10, figure12) for c in f.FIGURE.claims}
CHOSEN = of_scale(QUICK)
CLOSE, FAST = label(CHOSEN.close), figure02.label(CHOSEN.sgd)
SLOW = figure12.names(QUICK)["SGD"]


def grid(*periods):
    records = {lr: calm(lr=lr, weight_decay=0.001) for lr in CHOSEN.lrs}
    for lr, period in zip(CHOSEN.lrs, periods, strict=False):
        records[lr] = sawtooth(period, lr=lr, weight_decay=0.001)
    return evidence(**{label(lr): record for lr, record in records.items()})


def one(record):
    return evidence(**{CLOSE: record})


def two(full_batch, sgd):
    return evidence(**{CLOSE: full_batch, FAST: sgd, SLOW: sgd})


def turned(factor):
    return one(changed(oscillating(), cosine_distance=lambda t: factor * t.cosine_distance))


HOLDS = {
    "full-batch-periods": lambda: grid(150, 500),
    "full-batch-frequency": lambda: grid(100, 300, 600),
    "phase-b-longer-full-batch": lambda: two(oscillating(1200), oscillating(400)),
    "cosine-bounds-full-batch": lambda: one(oscillating(noise=0.3)),
    "cosine-growth-full-batch": lambda: one(oscillating(1500)),
    "cosine-growth-more-prominent": lambda: two(oscillating(1500), oscillating(500)),
}
REFUTED = {
    "full-batch-periods": lambda: grid(150),
    "full-batch-frequency": lambda: grid(400, 400, 400),
    "phase-order-full-batch": lambda: one(changed(oscillating(), effective_grad_norm=1.0)),
    "phase-b-train-error-full-batch": lambda: one(oscillating(train_error=0.3)),
    "phase-c-loss-first-full-batch": lambda: one(oscillating(lag=4)),
    "jumps-at-destabilisation-full-batch": lambda: one(
        changed(oscillating(), cosine_distance=1e-3)
    ),
    "phase-b-longer-full-batch": lambda: two(oscillating(400), oscillating(1200)),
    "cosine-bounds-full-batch": lambda: turned(1000),
    "cosine-growth-full-batch": lambda: one(oscillating(500)),
    "cosine-growth-more-prominent": lambda: two(oscillating(500), oscillating(1500)),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_holds_on_records_made_for_it(name):
    finding = judge(CLAIMS[name], HOLDS.get(name, lambda: one(oscillating()))())
    assert finding.outcome == "holds", finding


@pytest.mark.parametrize("name", CLAIMS)
def test_fails_on_records_made_to_refute_it(name):
    finding = judge(CLAIMS[name], REFUTED[name]())
    assert finding.outcome == "fails", finding


# With full batches ℓ falls like 1/(t − t₀)², so that g̃ may, too; not faster, and not hardly.
@pytest.mark.parametrize(
    ("power", "outcome"),
    [(-1, "holds"), (-2, "holds"), (-0.2, "fails"), (0.3, "fails"), (-2.9, "fails")],
)
def test_the_form_of_the_bounds_can_be_refuted(power, outcome):
    found = one(reshaped(oscillating(), power))
    assert judge(CLAIMS["cosine-bounds-full-batch"], found).outcome == outcome


@pytest.mark.parametrize(("lag", "climb"), [(2, 6), (0, 1), (0, 2)])
def test_a_loss_that_leaves_with_the_gradient_is_not_first(lag, climb):
    found = one(oscillating(lag=lag, climb=climb))
    assert judge(CLAIMS["phase-c-loss-first-full-batch"], found).outcome == "fails"


@pytest.mark.parametrize("name", CLAIMS)
def test_without_its_runs_it_is_undecided(name):
    assert judge(CLAIMS[name], evidence()).outcome == "undecided"


@pytest.mark.parametrize(("module", "panels"), [(figure10, 6), (figure12, 4)])
def test_the_pictures_have_their_panels(module, panels):
    (figure,) = module.draw(two(oscillating(1200), oscillating()))
    assert len(figure.panels) == panels
