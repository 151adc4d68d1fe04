"""What the formulas say of rounding is what torch's own arithmetic does, number by number."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limitcycle.errors import UserError
from limitcycle.reading.advising import rounding
from limitcycle.reading.rounding import carried, decay_rounding, rounds_away

BITS = {"bfloat16": 8, "float16": 11}
PRODUCTS = st.floats(-14, -6).map(lambda exponent: 2.0**exponent)


def everything(name):
    """Every positive finite number of a type of 16 bits, subnormal ones of float16 included.

    Those of bfloat16 are left out: there torch's float32 arithmetic is subnormal itself.
    """
    bits = torch.arange(1, 2**15, dtype=torch.int16).view(getattr(torch, name))
    return bits[torch.isfinite(bits) & ((bits > 2.0**-100) | (name == "float16"))]


def octave(name):
    """All mantissas, once each: the numbers in [1, 2)."""
    values = everything(name)
    return values[(values >= 1) & (values < 2)]


def clear(weights, name, product, within):
    """Where a relative error ``within`` of ηλ·w cannot mistake one side of a tie for the other."""
    return np.equal(*(rounds_away(weights, name, product * s) for s in (1 - within, 1 + within)))


@pytest.mark.parametrize("name", BITS)
@given(product=PRODUCTS)
@settings(max_examples=25, deadline=None)
def test_each_number_stays_exactly_where_torch_leaves_it(name, product):
    values = everything(name)
    weights = values.double().numpy()
    said = rounds_away(weights, name, product)
    multiplied = (values * (1 - product) == values).numpy()
    sure = clear(weights, name, product, 1e-3)  # float32 holds 1 − ηλ up to 2^−25
    assert sure.mean() > 0.97
    np.testing.assert_array_equal(said[sure], multiplied[sure])
    added = (values.clone().add_(values, alpha=-product) == values).numpy()
    # The last elements, which fill no vector register, get ηλ and ηλ·w rounded to 16 bits first:
    # two errors of half of this each, and their product.
    sure = clear(weights, name, product, 1.1 * 2.0 ** -BITS[name])
    assert sure.mean() > 0.97
    np.testing.assert_array_equal(said[sure], added[sure])
    np.testing.assert_array_equal(rounds_away(-weights, name, product), said)


@pytest.mark.parametrize("name", BITS)
@pytest.mark.parametrize("power", range(5, 14))
def test_ties_are_exact_too(name, power):
    """A product with a power of two has no rounding in float32: no number may be excepted."""
    values, product = everything(name), 2.0**-power
    added = (values.clone().add_(values, alpha=-product) == values).numpy()
    np.testing.assert_array_equal(rounds_away(values.double(), name, product), added)


def test_float32_and_its_product():
    weights = 1 + np.random.default_rng(0).integers(0, 2**23, 5_000) / 2.0**23
    values = torch.tensor(weights, dtype=torch.float32)
    for product in (2.0**-25.5, 2.0**-24.7, 2.0**-24.3, 2.0**-23.5):
        exact = torch.tensor(weights * (1 - product)).float() == values  # float64, rounded once
        said = rounds_away(weights, "float32", product)
        assert (said == exact.numpy()).mean() > 0.999
        multiplied = (values * (1 - product) == values).numpy()
        assert multiplied.all() if product <= 2.0**-25 else not multiplied.any()


@pytest.mark.parametrize("name", BITS)
@given(product=PRODUCTS)
@settings(max_examples=50, deadline=None)
def test_the_share_counts_mantissas_of_log_uniform_weights(name, product):
    weights = octave(name).double().numpy()
    half = 2.0 ** -BITS[name]
    size = np.log2((weights + half) / (weights - half))  # what rounds to each
    counted = float((size * rounds_away(weights, name, product)).sum() / size.sum())
    assert decay_rounding(name, product).share == pytest.approx(counted, abs=6 * half)


@pytest.mark.parametrize(("name", "bits"), [*BITS.items(), ("float32", 24), ("float64", 53)])
def test_the_limits(name, bits):
    rounding = decay_rounding(f"torch.{name}", 1e-4)
    assert rounding.dtype == name
    assert (rounding.all_up_to, rounding.none_from) == (2.0 ** -(bits + 1), 2.0**-bits)
    assert decay_rounding(name, rounding.all_up_to).share == 1
    assert decay_rounding(name, rounding.none_from).share == 0
    assert decay_rounding(name, rounding.all_up_to * math.sqrt(2)).share == pytest.approx(0.5)
    if name in BITS:
        weights = octave(name).double()
        assert rounds_away(weights, name, rounding.all_up_to).all()
        assert not rounds_away(weights, name, rounding.all_up_to * 1.01).all()
        assert not rounds_away(weights, name, rounding.none_from).any()
        assert rounds_away(weights, name, rounding.none_from * 0.99).any()


def test_between_the_limits_decay_stops_within_an_octave():
    values = octave("bfloat16")
    decayed = values.clone()
    for _ in range(1_000):
        decayed *= 1 - 2.0**-8.5
    assert (decayed > values / 2).all()
    assert torch.equal(decayed, decayed * (1 - 2.0**-8.5))
    assert (values * (1 - 2.0**-8) < values).all()


@pytest.mark.parametrize("spread", [0.0, 0.1, 0.25, 0.5, 1.0, 5.0])
def test_what_a_gradient_step_carries_is_what_torch_stores_in_the_mean(spread):
    spacing, decay, count = 2.0**-7, 0.1 * 2.0**-7, 1_000_000
    noise = torch.from_numpy(np.random.default_rng(1).standard_normal(count))
    weight = torch.full((count,), 1.5, dtype=torch.bfloat16)

    def stored(taken):
        step = spread * spacing * noise + taken
        return (weight.double() - step).bfloat16().double().mean()

    arrived = float(stored(-decay) - stored(decay)) / (2 * decay)  # odd part: the same noise
    assert arrived == pytest.approx(carried(spread), abs=0.05)


def trained(optimizer, gradient, weights, **options):
    """The weights after one step of a real optimizer, in bfloat16."""
    parameter = torch.nn.Parameter(weights.clone())
    parameter.grad = gradient * torch.ones_like(weights)
    optimizer([parameter], **options).step()
    return parameter.detach()


@pytest.mark.slow  # the first optimizer imports much of torch
def test_adamw_loses_what_is_said_and_sgd_loses_it_against_the_gradient():
    weights = octave("bfloat16")
    product = 2.0**-8.5
    options = {"lr": 0.5, "weight_decay": 2 * product}
    still = trained(torch.optim.AdamW, 0.0, weights, **options) == weights
    np.testing.assert_array_equal(still, rounds_away(weights.double(), "bfloat16", product))
    # λw below 2^−9 of the gradient vanishes in g + λw, though λ is large against the weight's bits.
    options = {"lr": 2.0**-10, "weight_decay": 1.0}
    heavy = 2.0**11 * torch.ones_like(weights)
    with_decay = trained(torch.optim.SGD, heavy, weights, **options)
    without = trained(torch.optim.SGD, heavy, weights, lr=2.0**-10)
    assert torch.equal(with_decay, without) and not torch.equal(with_decay, weights)


def test_carried_names_the_numbers_of_its_docstring():
    assert carried(0) == 0 and carried(1e-9) == 0
    assert carried(0.25) == pytest.approx(0.43, abs=0.005)
    assert carried(0.5) == pytest.approx(0.986, abs=0.001)
    assert carried(2) == pytest.approx(1, abs=1e-12) and carried(math.inf) == 1
    values = [carried(spread) for spread in np.linspace(0, 3, 100)]
    assert np.all(np.diff(values) > -1e-12)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: decay_rounding("int8", 0.1), "one of bfloat16, float16"),
        (lambda: decay_rounding("bfloat16", 1.0), r"must be in \[0, 1\), not 1"),
        (lambda: rounds_away([1.0], "bfloat16", math.nan), "not nan"),
        (lambda: carried(-1.0), "not be negative"),
    ],
)
def test_what_is_out_of_range_is_refused(call, said):
    with pytest.raises(UserError, match=said):
        call()


def test_sentences_name_the_type_the_decay_and_the_remedy():
    assert rounding(decay_rounding("bfloat16", 0.01)) == ""
    assert rounding(decay_rounding("bfloat16", 0.0)) == ""
    lost = rounding(decay_rounding("bfloat16", 1e-4))
    for part in ("bfloat16", "ηλ = 0.0001", "19 times as much", "0.002", "float32"):
        assert part in lost
    assert "A little more" in rounding(decay_rounding("bfloat16", 1.5e-3))
    assert "58% of the weights in" in rounding(decay_rounding("bfloat16", 2.0**-8.58))
    assert "gradient step" not in lost
    assert "gradient step" in rounding(decay_rounding("bfloat16", 1e-4), alone=False)
