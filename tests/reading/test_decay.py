"""What weight decay alone does: against the recurrence itself, one weight without a gradient."""

import math

import numpy as np
import pytest

from limitcycle.reading import diagnose
from limitcycle.reading.decay import log_decay
from tests.reading.series import CLEAN, quiet


def coasting(lr, weight_decay, momentum, steps):
    """log |x_t| of PyTorch's SGD without gradient."""
    x, v, values = 1.0, 0.0, []
    for _ in range(steps):
        values.append(abs(x))
        v = momentum * v + weight_decay * x
        x -= lr * v
    return np.log(values)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("product", [1e-7, 1e-5])
def test_free_decay_is_that_of_the_recurrence(momentum, product):
    rate = np.diff(coasting(product, 1.0, momentum, 5_000))[-1]
    assert log_decay(product, momentum) == pytest.approx(rate, rel=1e-6)
    assert log_decay(product, momentum) == pytest.approx(-product / (1 - momentum), rel=0.2)


def test_a_large_product_decays_by_the_larger_root():
    assert log_decay(0.2, 0.0) == math.log1p(-0.2)
    assert log_decay(0.2, 0.25) == pytest.approx(np.diff(coasting(0.2, 1.0, 0.25, 200))[-1])


@pytest.mark.parametrize(
    ("product", "momentum"), [(1.0, 0.0), (0.01, 0.9), (-0.1, 0.0), (0.1, 1.0)]
)
def test_where_the_norm_does_not_just_shrink_there_is_no_rate(product, momentum):
    assert math.isnan(log_decay(product, momentum))


def test_the_forecast_knows_momentum():
    frame, starts = CLEAN.run()
    cut = frame[: int(starts[-1]) - 600]
    fall = CLEAN.rise / CLEAN.period  # of log ρ in a step: with μ = 0.9, ten times ηλ
    plain = diagnose(cut, lr=1.0, weight_decay=fall)
    moving = diagnose(cut, lr=1.0, weight_decay=fall / 10, momentum=0.9)
    by_column = diagnose(cut.assign(lr=1.0, weight_decay=fall / 10, momentum=0.9))
    assert moving.forecast.median == pytest.approx(plain.forecast.median, rel=0.02)
    assert by_column.forecast.median == moving.forecast.median


def test_free_decay_is_told_from_balance_with_momentum():
    """ηλ/(1 − μ) is 1e-5 a step: a norm that falls at a fifth of that is balanced by gradients."""
    steps = np.arange(4_000)
    calm, settings = quiet(rows=4_000), {"lr": 0.01, "weight_decay": 1e-4, "momentum": 0.9}
    balanced = diagnose(calm.assign(norm=8 * np.exp(-2e-6 * steps)), **settings)
    assert balanced.label == "equilibrium"
    assert balanced.rest.free_drift == pytest.approx(-0.02, rel=0.02)
    assert diagnose(calm.assign(norm=8 * np.exp(-1e-5 * steps)), **settings).label == "converging"


@pytest.mark.parametrize("momentum", [1.0, -0.1, np.nan, "much"])
def test_momentum_out_of_its_range_is_refused(momentum):
    with pytest.raises(ValueError, match="momentum must be"):
        diagnose(quiet(), lr=0.1, weight_decay=0.1, momentum=momentum)


def test_an_unusable_momentum_column_gives_no_forecast():
    frame, _ = CLEAN.run()
    verdict = diagnose(frame.assign(momentum=1.5), lr=0.1, weight_decay=0.01)
    assert math.isnan(verdict.forecast.median)
