"""The engine against Eq. (1) written plainly, and against the recursion of the norm, Eq. (3)."""

import numpy as np
import pytest
import torch

from limitcycle.lab.engine import step
from limitcycle.lab.functional import differentiate_functionally
from limitcycle.lab.recorder import Recorder
from limitcycle.lab.setup import Setup, prepare
from limitcycle.lab.training import batches, hyper
from limitcycle.record import Run
from limitcycle.theory import next_squared_norm
from tests.lab.oracle import train_plainly

CPU = torch.device("cpu")
STEPS = 200
CASES = {
    "sgd": {},
    "momentum": {"momentum": 0.9, "lr": 0.05},
    "full batch": {"batch_size": None, "train_size": 300, "lr": 0.5},
    "fixed norm": {"fixed_norm": "start"},
    "affine, trained head": {"norm": "batch-affine", "train_head": True, "lr": 0.05},
}


def run_steps(run: Run, setup: Setup, steps: int):
    """Engine steps from the start: last state, and the step table."""
    rates = torch.full((steps,), run.lr, dtype=setup.state["weights"].dtype)
    state, rows = setup.state, []
    for rate, batch in zip(rates, batches(run, setup, 0, steps), strict=True):
        state, row = step(setup.net, state, batch, {**hyper(run, setup), "lr": rate})
        rows.append(row)
    recorder = Recorder(setup, 1, None)
    columns = {name: torch.stack([row[name] for row in rows]).numpy() for name in rows[0]}
    recorder.add_steps(0, {**columns, "lr": np.full(steps, run.lr)})
    return state, recorder.take()[0]


@pytest.mark.parametrize("case", CASES)
def test_equals_a_plain_float64_loop(case):
    settings = {"lr": 0.3, "weight_decay": 1e-2, "width": 16, "train_size": 384, **CASES[case]}
    run = Run(dtype="float64", steps=STEPS, **settings)
    setup = prepare(run, CPU)
    state, table = run_steps(run, setup, STEPS)
    plain = list(batches(run, setup, 0, STEPS))
    weights, rows = train_plainly(run, setup, plain, setup.measured)
    named = setup.net.parts["weights"].named(state["weights"])
    for name, expected in weights.items():
        torch.testing.assert_close(named[name], expected, rtol=1e-10, atol=1e-10)
    for column in ("loss", "norm", "grad_norm", "radial"):
        expected = np.array([row[column] for row in rows])
        np.testing.assert_allclose(table[column], expected, rtol=1e-10, atol=1e-10)
    chord = np.array([row["cosine_distance"] for row in rows])
    np.testing.assert_allclose(table["cosine_distance"], chord, rtol=1e-6, atol=1e-15)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-2), ("float64", 1e-8)])
@pytest.mark.parametrize("lr", [0.01, 1.0])
def test_norm_recursion_predicts_every_step(dtype, tolerance, lr):
    """Eq. (3) with the radial term, to a fraction of what weight decay alone does in a step."""
    run = Run(lr=lr, dtype=dtype, steps=400)
    _, table = run_steps(run, prepare(run, CPU), 400)
    rho2 = table["norm"].to_numpy() ** 2
    predicted = next_squared_norm(
        table["norm"], table["grad_norm"], table["lr"], table["weight_decay"], table["radial"]
    )
    unit = 2 * run.lr * run.weight_decay * rho2[:-1]
    error = np.abs(rho2[1:] - predicted[:-1]) / unit
    assert error.max() < tolerance
    assert (np.abs(rho2[1:] - rho2[:-1]) / unit).max() > 0.5, (
        "the norm has to move for this to mean anything"
    )


def test_step_leaves_its_arguments_alone():
    run = Run(steps=1, momentum=0.9)
    setup = prepare(run, CPU)
    before = {name: tensor.clone() for name, tensor in setup.state.items()}
    batch = next(iter(batches(run, setup, 0, 1)))
    following, _ = step(
        setup.net, setup.state, batch, {**hyper(run, setup), "lr": torch.tensor(0.1)}
    )
    for name, tensor in before.items():
        assert torch.equal(setup.state[name], tensor)
    for name in ("weights", "momentum", "stats"):
        assert not torch.equal(following[name], before[name])


def test_batched_by_vmap_equals_single_runs():
    """Several learning rates at once: the same function under torch.vmap."""
    run = Run(dtype="float64", width=16, steps=20)
    setup = prepare(run, CPU)
    rates = torch.tensor([0.05, 0.3, 1.0], dtype=torch.float64)
    plain = list(batches(run, setup, 0, 20))

    def advance(state, rate, batch):
        return step(
            setup.net, state, batch, {**hyper(run, setup), "lr": rate}, differentiate_functionally
        )

    together = {name: t.expand(3, *t.shape).clone() for name, t in setup.state.items()}
    for batch in plain:
        together, rows = torch.vmap(lambda s, r, b=batch: advance(s, r, b))(together, rates)
    for i, rate in enumerate(rates):
        alone = setup.state
        for batch in plain:
            alone, row = step(setup.net, alone, batch, {**hyper(run, setup), "lr": rate})
        torch.testing.assert_close(together["weights"][i], alone["weights"], rtol=1e-9, atol=1e-9)
        for name, value in row.items():
            torch.testing.assert_close(rows[name][i], value, rtol=1e-9, atol=1e-9)


def test_fixed_norm_stays_fixed():
    run = Run(lr=1.0, fixed_norm=5.0, steps=50)
    _, table = run_steps(run, prepare(run, CPU), 50)
    np.testing.assert_allclose(table["norm"], 5.0, rtol=1e-6)
