"""Gram matrices of packed and of large tensors against plain float64 sums."""

from functools import partial

import numpy as np
import pytest
import torch

from limitcycle.measure import InnerProducts, measured_columns
from limitcycle.measure.inner import LARGE, PIECE, ROW

SHAPES = {
    "small": [(3, 4), (5,), ()],
    "large": [(LARGE,), (2, PIECE), (40, 50, 3, 3)],
    "mixed": [(7,), (LARGE + 1,), (6, 6), (PIECE + 5,)],
}


def gram(*vectors):
    stacked = torch.stack(vectors).double()
    return stacked @ stacked.T


def rounding(a, b, dtype):
    """By how much sums may differ, in whatever order (it hangs on threads and CPU) they are made.

    Each addition rounds by u = eps/2 of the partial sum, with a random sign: over n additions that
    is √n·u of what the partial sums come to, and four times as much hardly ever. Sums of squares
    are made in rows of `ROW`. Inner products are made in pieces of `PIECE`; of random signs their
    partial sums come to ‖a∘b‖. What they are compared with, float64 in one go, rounds likewise.
    """
    u = torch.finfo(torch.promote_types(dtype, torch.float32)).eps / 2
    reference = len(a) ** 0.5 * 2**-53
    atol = 4 * (PIECE**0.5 * u + reference) * float((a * b).norm())
    return {"rtol": 4 * (ROW**0.5 * u + reference), "atol": atol}


@pytest.fixture(params=[torch.float32, torch.float64, torch.bfloat16], ids=str)
def dtype(request):
    return request.param


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("channels_last", [False, True])
def test_sums_group_by_group(shapes, channels_last, dtype):
    random = torch.Generator().manual_seed(0)
    weights = []
    for shape in SHAPES[shapes]:
        weight = torch.randn(shape, generator=random).to(dtype)
        if channels_last and weight.ndim == 4:
            weight = weight.to(memory_format=torch.channels_last)
        weights.append(weight)
    gradients = [torch.randn(w.shape, generator=random).to(dtype) for w in weights]
    groups = [0, *[1] * (len(weights) - 1)]
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient
    inner = InnerProducts(weights, groups, 2)
    before = [w.clone() for w in weights]
    out = torch.zeros(2, 3, 3, dtype=torch.float64)
    inner.before(out, updates=True)
    alone = torch.zeros_like(out)
    InnerProducts(weights, groups, 2).before(alone, updates=False)
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.mul_(0.995).sub_(1e-2 * gradient)
    inner.after(out)
    for group in (0, 1):
        members = [i for i, owner in enumerate(groups) if owner == group]
        x, g, y = (
            torch.cat([part[i].double().flatten() for i in members])
            for part in (before, gradients, weights)
        )
        torch.testing.assert_close(out[group, :2, :2], gram(x, g), **rounding(x, g, dtype))
        torch.testing.assert_close(
            out[group, ::2, ::2], gram(x, y - x), **rounding(x, y - x, dtype)
        )
        torch.testing.assert_close(alone[group, :2, :2], gram(x, g), **rounding(x, g, dtype))
        assert not alone[group, 2].any()


@pytest.mark.parametrize("size", [1_000, 3 * PIECE])
@pytest.mark.parametrize("angle", [1e-5, 1e-3, 0.5])
@pytest.mark.parametrize("decay", [0.0, 1e-2])
def test_a_small_turn_under_strong_decay(size, angle, decay):
    """Cosine distances down to 1e-10 · ½, although the update is nearly all decay."""
    random = torch.Generator().manual_seed(1)
    x = torch.randn(size, generator=random, dtype=torch.float64)
    across = torch.randn(size, generator=random, dtype=torch.float64)
    across -= x * (across @ x) / (x @ x)
    across *= np.tan(angle) * x.norm() / across.norm()
    start, end = x.float(), ((1 - decay) * (x + across)).float()
    weight = start.clone()
    weight.grad = torch.zeros_like(weight)
    inner = InnerProducts([weight], [0], 1)
    out = torch.zeros(1, 3, 3, dtype=torch.float64)
    inner.before(out, updates=True)
    weight.copy_(end)
    inner.after(out)
    found = measured_columns(out[:, :2, :2].numpy(), out[:, ::2, ::2].numpy())
    # What float32 weights can hold of so small a turn is the limit, not the sums.
    true = start.double(), end.double()
    turned = torch.linalg.vector_norm(true[1] - true[0] * (true[0] @ true[1]) / (true[0] @ true[0]))
    expected = float(torch.atan2(turned, true[0] @ true[1] / true[0].norm()))
    assert found["rotation"][0] == pytest.approx(expected, rel=1e-4)
    assert found["cosine_distance"][0] == pytest.approx(2 * np.sin(expected / 2) ** 2, rel=2e-4)


def test_a_missing_gradient_is_zero_and_zero_weights_stay():
    small, large = torch.ones(4), torch.zeros(LARGE)
    inner = InnerProducts([small, large], [0, 1], 2)
    out = torch.zeros(2, 3, 3, dtype=torch.float64)
    inner.before(out, updates=True)
    inner.after(out)
    assert out[0].tolist() == [[4, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert not out[1].any()


def steps_of(inner, weights, moves):
    """The Gram matrix of each of ``moves``, one step after the other."""
    for move in moves:
        out = torch.zeros(1, 3, 3, dtype=torch.float64)
        start = torch.cat([w.detach().double().flatten() for w in weights])
        inner.before(out, updates=True)
        move()
        inner.after(out)
        end = torch.cat([w.detach().double().flatten() for w in weights])
        yield out[0, ::2, ::2], gram(start, end - start)


def test_weights_that_were_given_new_memory_are_found_again():
    """As `load_state_dict(assign=True)`, `module.to` or ``weight.data = …`` do it."""
    torch.manual_seed(4)
    weight = torch.nn.Parameter(torch.randn(64, 300))
    weight.grad = torch.zeros_like(weight)
    inner = InnerProducts([weight], [0], 1)

    def replaced():
        weight.data = torch.randn(300, 64).t()

    for found, expected in steps_of(inner, [weight], [lambda: weight.data.mul_(0.9), replaced] * 2):
        torch.testing.assert_close(found, expected, rtol=5e-6, atol=2e-3)


def test_large_tensors_of_several_types_add_up():
    torch.manual_seed(5)
    weights = [torch.randn(LARGE, dtype=kind) for kind in (torch.float32, torch.float64)]
    weights.insert(1, torch.randn(LARGE + 1).bfloat16())
    inner = InnerProducts(weights, [0, 0, 0], 1)
    moves = [lambda: [w.mul_(0.5) for w in weights]]
    for found, expected in steps_of(inner, weights, moves):
        torch.testing.assert_close(found, expected, rtol=5e-6, atol=2e-3)


@pytest.mark.parametrize("head", [0.0, 1e-6, 1.0])
@pytest.mark.parametrize("moves", ["head", "rest", "both"])
def test_parts_that_move_by_themselves_hide_nothing(head, moves):
    """As queries that start at zero in one matrix with keys and values."""
    random = torch.Generator().manual_seed(2)
    weight = torch.randn(2 * PIECE, generator=random)
    first = slice(0, LARGE)
    weight[first] *= head
    update = torch.randn(2 * PIECE, generator=random)
    update[first] *= moves != "rest"
    update[LARGE:] *= moves != "head"

    def move():
        weight.mul_(1 - 1e-6).add_(update, alpha=1e-5)

    inner = InnerProducts([weight], [0], 1)
    for found, expected in steps_of(inner, [weight], [move] * 3):
        torch.testing.assert_close(found[1, 1], expected[1, 1], rtol=1e-4, atol=0)
        size = (expected[0, 0] * expected[1, 1]).sqrt()
        assert abs(found[0, 1] - expected[0, 1]) < 1e-4 * size


@pytest.mark.parametrize("size", [LARGE, PIECE, 3 * PIECE + 5])
@pytest.mark.parametrize("digits", [1.0, 0.1, 1e-3])
def test_weights_that_are_all_alike_are_summed_as_exactly_as_others(size, digits):
    """Their squares are all rounded the same way."""
    weight = torch.full((size,), digits)
    weight.grad = -weight
    out = torch.zeros(1, 3, 3, dtype=torch.float64)
    InnerProducts([weight], [0], 1).before(out, updates=False)
    x, g = weight.double(), weight.grad.double()
    torch.testing.assert_close(out[0, :2, :2].diagonal(), gram(x, g).diagonal(), rtol=2e-6, atol=0)


@pytest.mark.parametrize("updates", [True, False])
def test_a_square_weight_that_is_turned_around_in_its_memory(updates):
    torch.manual_seed(6)
    weight = torch.nn.Parameter(torch.randn(160, 160))
    weight.grad = torch.randn(160, 160)
    inner = InnerProducts([weight], [0], 1)
    for _ in range(3):
        out = torch.zeros(1, 3, 3, dtype=torch.float64)
        inner.before(out, updates=updates)
        expected = gram(weight.detach().flatten(), weight.grad.flatten())
        torch.testing.assert_close(out[0, :2, :2], expected, rtol=5e-6, atol=2e-3)
        weight.data = weight.data.t()


@pytest.mark.parametrize("turn", [1e-4, 1e-2])
@pytest.mark.parametrize("knows_at_once", [True, False])
def test_weight_decay_that_comes_and_goes(turn, knows_at_once, monkeypatch):
    """Large tensors are split by what the step before shrank them by, where a CPU can check it."""
    random = torch.Generator().manual_seed(3)
    weight = torch.randn(PIECE, generator=random)

    def move(decay):
        weight.mul_(1 - decay).add_(torch.randn(PIECE, generator=random), alpha=turn)

    inner = InnerProducts([weight], [0], 1)
    monkeypatch.setattr(inner._parts[1], "_on_cpu", knows_at_once)
    moves = [partial(move, decay) for decay in (1e-2, 0, 0, 1e-2, 1e-2, 1e-3, 0)]
    for found, expected in steps_of(inner, [weight], moves):
        turned = [m[1, 1] - m[0, 1] ** 2 / expected[0, 0] for m in (found, expected)]
        torch.testing.assert_close(turned[0].sqrt(), turned[1].sqrt(), rtol=1e-4, atol=0)


def test_what_is_not_finite_spoils_its_own_step_only():
    weight = torch.ones(LARGE)
    start = weight.clone()
    inner = InnerProducts([weight], [0], 1)
    moves = [
        lambda: weight.mul_(0.9),
        lambda: weight.fill_(torch.inf),
        lambda: weight.copy_(start),
        lambda: weight.mul_(0.9),
        lambda: None,
    ]
    found = [measured for measured, _ in steps_of(inner, [weight], moves)]
    torch.testing.assert_close(
        found[3][1, 1], torch.tensor(0.01 * LARGE).double(), rtol=1e-5, atol=0
    )
    assert 0 <= found[4][1, 1] < 1e-6 * found[3][1, 1]
