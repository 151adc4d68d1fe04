"""The columns of a step, held against plain float64 geometry."""

import numpy as np
import pytest
import torch

from limitcycle.measure import step_columns, step_scalars

SIZE = 5_000


def measured(x, g, lr, weight_decay, update=None):
    """One step's columns as the recorder makes them."""
    raw = {name: np.array([float(s)]) for name, s in step_scalars(x, g, update).items()}
    columns = step_columns(raw, np.array([lr]), np.array([weight_decay]))
    return {name: value[0] for name, value in columns.items()}


def tangent(x, generator):
    """A random direction across ``x``."""
    g = torch.randn(SIZE, generator=generator, dtype=torch.float64)
    return g - x * (g @ x) / (x @ x)


@pytest.mark.parametrize("target", [1e-10, 1e-6, 1e-2, 0.5, 1.2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cosine_distance_at_every_size(target, dtype):
    """A step whose angle is known: x' = (1 − ηλ)x − ηg with g across x, or past the right angle."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(SIZE, generator=generator, dtype=torch.float64)
    g = tangent(x, generator)
    angle = np.arccos(1 - target) if target > 1e-3 else np.sqrt(2 * target)
    lr, decay = 0.1, 1e-3
    along = (1 - lr * decay) * float(x.norm())
    if target < 1:
        g *= np.tan(angle) * along / (lr * float(g.norm()))
        update = None
    else:  # only an update with a part along x can turn the weights by more than a right angle
        g *= np.tan(np.pi - angle) * along / (lr * float(g.norm()))
        update = (g + 2 * along / lr / float(x.norm()) * x + decay * x).to(dtype)
    found = measured(x.to(dtype), g.to(dtype), lr, decay, update)["cosine_distance"]
    exact = 2 * np.sin(angle / 2) ** 2
    assert found == pytest.approx(exact, rel=1e-4)


def test_columns_are_what_their_names_say():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(SIZE, generator=generator, dtype=torch.float64)
    g = torch.randn(SIZE, generator=generator, dtype=torch.float64)
    row = measured(x, g, 0.2, 0.01)
    assert row["norm"] == pytest.approx(float(x.norm()))
    assert row["grad_norm"] == pytest.approx(float(g.norm()))
    assert row["radial"] == pytest.approx(float(x @ g))
    assert row["effective_lr"] == pytest.approx(0.2 / float(x @ x))
    assert row["effective_grad_norm"] == pytest.approx(float(x.norm() * g.norm()))
    after = (1 - 0.2 * 0.01) * x - 0.2 * g
    cosine = float(x @ after / (x.norm() * after.norm()))
    assert row["cosine_distance"] == pytest.approx(1 - cosine)


def test_momentum_is_measured_by_its_own_update():
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(SIZE, generator=generator, dtype=torch.float64)
    u = torch.randn(SIZE, generator=generator, dtype=torch.float64)
    row = measured(x, 0 * x, 0.3, 0.01, u)
    after = x - 0.3 * u
    cosine = float(x @ after / (x.norm() * after.norm()))
    assert row["cosine_distance"] == pytest.approx(1 - cosine)


def test_norm_keeps_what_float32_sums_lose():
    """In which order BLAS adds hangs on threads and CPU: n terms round by n·2⁻⁵³ at most.

    Half of that in the norm, where float32 sums would round by up to n·2⁻²⁵, or 3 %.
    """
    terms = 1_000_000
    x = torch.full((terms,), 0.5, dtype=torch.float32) + 2**-20
    row = measured(x, x, 0.1, 0.0)
    assert row["norm"] == pytest.approx(1e3 * (0.5 + 2**-20), rel=terms * 2**-53 / 2)
