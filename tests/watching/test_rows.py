"""Every recorded row against a float64 recomputation around its step, for loops of every kind."""

import math

import numpy as np
import pytest
import torch

import limitcycle as lc
from tests.watching import loops

STEPS = 4


@pytest.fixture(params=loops.LOOPS)
def name(request):
    return request.param


def expected(seen, names):
    """Norm, gradient norm, radial, rotation, relative update of these tensors as one vector."""
    x, g, y = (loops.joined(part, names) for part in (seen.before, seen.gradients, seen.after))
    along = (y @ x) / x.norm()
    across = (y - x * (y @ x) / (x @ x)).norm()
    return {
        "norm": float(x.norm()),
        "grad_norm": float(g.norm()),
        "effective_grad_norm": float(x.norm() * g.norm()),
        "rotation": math.atan2(float(across), float(along)),
        "relative_update": float((y - x).norm() / x.norm()),
    }, float(x @ g)


def check(row, seen, names):
    values, radial = expected(seen, names)
    for column, value in values.items():
        assert row[column] == pytest.approx(value, rel=2e-4), column
    size = values["effective_grad_norm"]
    assert row["radial"] == pytest.approx(radial, abs=2e-5 * size)
    assert row["cosine_distance"] == pytest.approx(1 - math.cos(values["rotation"]), rel=1e-3)


def test_rows_are_what_a_recomputation_in_float64_finds(name):
    loop = loops.LOOPS[name]()
    w, seen, _ = loops.run(loop, STEPS)
    steps, groups = w.steps, w.groups
    assert list(steps["step"]) == list(range(STEPS))
    for t in range(STEPS):
        check(steps.iloc[t], seen[t], ("one.weight", "two.weight"))
        assert steps["loss"].iloc[t] == pytest.approx(seen[t].loss, rel=1e-5)
        for group, names in loops.groups_of():
            row = groups[(groups["step"] == t) & (groups["group"] == group)]
            check(row.iloc[0], seen[t], names)


def test_a_watched_run_is_the_run_unwatched(name):
    w, _, watched = loops.run(loops.LOOPS[name](), STEPS)
    assert w.symmetries is not None
    after_watching = torch.get_rng_state()
    loop, model = loops.LOOPS[name](), loops.net()
    optimizer = loop.optimizer(model)
    for step in range(STEPS):
        loop.step(loop.wrap(model), optimizer, step)
    assert torch.equal(after_watching, torch.get_rng_state())
    for key, value in model.state_dict().items():
        assert torch.equal(value, watched.state_dict()[key]), key


def test_without_measured_updates_the_rest_is_the_same():
    w, seen, _ = loops.run(loops.LOOPS["adamw"](), STEPS, update=False)
    assert w.steps[["rotation", "cosine_distance", "relative_update"]].isna().all(axis=None)
    values, _ = expected(seen[2], ("one.weight", "two.weight"))
    assert w.steps["norm"].iloc[2] == pytest.approx(values["norm"])


def test_every_third_step():
    w, seen, _ = loops.run(loops.LOOPS["sgd"](), 8, every=3)
    assert list(w.steps["step"]) == [0, 3, 6]
    for row, t in enumerate((0, 3, 6)):
        check(w.steps.iloc[row], seen[t], ("one.weight", "two.weight"))
        assert w.steps["loss"].iloc[row] == pytest.approx(seen[t].loss, rel=1e-5)


@pytest.mark.parametrize("fused", [False, True])
def test_a_step_that_the_scaler_skips_leaves_no_row(fused):
    model, scaler = loops.net(), loops.scaler()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=fused)
    with lc.watch(model, optimizer, quiet=True) as w:
        for step in range(5):
            optimizer.zero_grad()
            loss = loops.loss_of(model, step)
            scaler.scale(loss).backward()
            if step == 2:
                model.head.weight.grad[0, 0] = math.inf
            scaler.step(optimizer)
            scaler.update()
            w.log(loss=loss)
    assert len(w.steps) == 4
    assert np.isfinite(w.steps[["loss", "norm", "grad_norm", "rotation"]]).all(axis=None)


def test_losses_said_before_a_step_belong_to_it_and_are_averaged():
    model = loops.net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    said = []
    with lc.watch(model, optimizer, quiet=True) as w:
        for step in range(4):
            optimizer.zero_grad()
            parts = [loops.loss_of(model, step, half) for half in loops.HALVES]
            for part in parts:
                part.backward()
                w.log(loss=part, progress=step)
            said.append(float(sum(parts).detach()) / 2)
            optimizer.step()
    assert w.steps["loss"].to_list() == pytest.approx(said, rel=1e-6)
    assert w.steps["progress"].to_list() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "power"), [("sgd", 2), ("momentum", 2), ("adam", 1), ("adamw", 1), ("rmsprop", 1)]
)
def test_the_effective_learning_rate_goes_by_the_optimizer(name, power):
    w, _, _ = loops.run(loops.LOOPS[name](), STEPS)
    assert w.steps["effective_lr"].to_numpy() == pytest.approx(
        loops.RATE / w.steps["norm"].to_numpy() ** power
    )


def test_groups_with_other_settings_are_left_out_of_the_joint_row_with_a_reason():
    w, _, _ = loops.run(loops.LOOPS["two groups"](), 40)
    assert w.steps[["lr", "weight_decay", "effective_lr"]].isna().all(axis=None)
    groups = w.groups.set_index("group")
    assert set(groups.loc["one.weight", "lr"]) == {0.2}
    assert set(groups.loc["two.weight", "weight_decay"]) == {loops.DECAY}
    assert "several (0.05, 0.2)" in str(w.diagnosis())


@pytest.mark.parametrize("name", [name for name in loops.LOOPS if name.startswith("adamw")])
def test_how_far_the_second_moment_lags_behind(name):
    w, seen, _ = loops.run(loops.LOOPS[name](), STEPS)
    names = ("one.weight", "two.weight")
    moment = torch.zeros(1, dtype=torch.float64)
    for t in range(STEPS):
        gradient = loops.joined(seen[t].gradients, names)
        moment = 0.999 * moment + 0.001 * gradient**2
        lag = float((gradient @ gradient) / (moment / (1 - 0.999 ** (t + 1))).sum())
        assert w.steps["second_moment_lag"].iloc[t] == pytest.approx(lag, rel=1e-4)
    assert w.latest()["second_moment_lag"] == pytest.approx(lag, rel=1e-4)
    lags = w.groups["second_moment_lag"]
    assert lags.notna().all() and (lags > 0).all()


def test_other_optimizers_have_no_second_moment():
    w, _, _ = loops.run(loops.LOOPS["sgd"](), STEPS)
    assert "second_moment_lag" not in w.steps
