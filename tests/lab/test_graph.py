"""Replays of captured steps, with a stand-in for CUDA: what is copied and what it comes to."""

import contextlib
from functools import partial

import pytest
import torch

from limitcycle.lab.block import launched
from limitcycle.lab.engine import step
from limitcycle.lab.feed import batches, hyper
from limitcycle.lab.functional import differentiate_functionally
from limitcycle.lab.graph import replayed
from limitcycle.lab.how import How
from limitcycle.lab.setup import prepare
from limitcycle.lab.training import train
from limitcycle.record import Run

CPU = torch.device("cpu")
STEPS = 7  # of three an epoch: 128, 128 and 44 images


class StandIn:
    """Captures as CUDA does: nothing happens at the capture, and a replay repeats the work on the
    tensors that were seen then."""

    def __init__(self):
        self.calls = []

    def __call__(self, compute, keep):
        number = self.calls.count("capture")
        self.calls.append("capture")

        def replay():
            self.calls.append(number)
            keep(compute())

        return replay


def case(**settings):
    """A step, the arguments of a block that begins at step ``first``."""
    run = Run(steps=STEPS, width=8, train_size=300, test_size=100, dtype="float64", **settings)
    setup = prepare(run, CPU)
    rates = torch.linspace(0.1, 0.7, STEPS, dtype=torch.float64)

    def block(state, first, end):
        return (state, hyper(run, setup), rates[first:end], batches(run, setup, first, end))

    return partial(step, setup.net), setup.state, block


@pytest.mark.parametrize(
    "settings", [{}, {"momentum": 0.9, "fixed_norm": 3.0}, {"batch_size": None}, {"augment": True}]
)
def test_replays_come_to_what_launches_come_to(settings):
    one, start, block = case(**settings)
    state, rows = launched(one)(*block(start, 0, STEPS))
    again, replays = replayed(one, StandIn())(*block(start, 0, STEPS))
    for name in state:
        assert torch.equal(state[name], again[name]), name
    assert rows.keys() == replays.keys()
    for name in rows:
        assert torch.equal(rows[name].double(), replays[name]), name


def test_each_shape_of_batch_is_captured_once():
    one, start, block = case()
    stand_in = StandIn()
    run = replayed(one, stand_in)
    state, _ = run(*block(start, 0, 4))
    run(*block(state, 4, STEPS))
    assert stand_in.calls == ["capture", 0, 0, "capture", 1, 0, 0, 1, 0]


def test_a_block_leaves_its_arguments_and_earlier_results_alone():
    one, start, block = case(momentum=0.9)
    before = {name: tensor.clone() for name, tensor in start.items()}
    run = replayed(one, StandIn())
    first, rows = run(*block(start, 0, 3))
    kept = {name: tensor.clone() for name, tensor in [*first.items(), *rows.items()]}
    run(*block(first, 3, 6))
    for name, tensor in before.items():
        assert torch.equal(start[name], tensor), name
    for name, tensor in [*first.items(), *rows.items()]:
        assert torch.equal(kept[name], tensor), name


def test_a_block_begins_with_the_state_and_hyperparameters_it_is_given():
    """Not with what the buffers hold from the block before."""
    one, start, block = case()
    run = replayed(one, StandIn())
    first = run(*block(start, 0, 3))
    run(*block(first[0], 3, 6))
    state, fixed, rates, feed = block(start, 0, 3)
    again = run(
        state, {**fixed, "weight_decay": torch.tensor(0.5, dtype=torch.float64)}, rates, feed
    )
    assert not torch.equal(again[0]["weights"], first[0]["weights"])
    assert torch.equal(run(*block(start, 0, 3))[0]["weights"], first[0]["weights"])


def test_steps_of_several_runs_are_replayed_like_one():
    run = Run(steps=STEPS, width=8, train_size=300, test_size=100, dtype="float64")
    setup = prepare(run, CPU)
    state = {name: torch.stack([tensor, tensor]) for name, tensor in setup.state.items()}
    fixed = {"weight_decay": torch.tensor([1e-3, 1e-1], dtype=torch.float64)}
    rates = torch.rand(STEPS, 2, dtype=torch.float64)
    one = partial(step, setup.net, derivative=differentiate_functionally)
    many = torch.vmap(one, in_dims=(0, None, 0))
    results = [
        block(state, fixed, rates, batches(run, setup, 0, STEPS))
        for block in (launched(many), replayed(many, StandIn()))
    ]
    for plain, replays in zip(*results, strict=True):
        for name in plain:
            assert torch.equal(plain[name].double(), replays[name].double()), name
    assert results[1][1]["loss"].shape == (STEPS, 2)


def test_a_run_is_computed_with_its_device_as_the_current_one(monkeypatch):
    """A graph of ``cuda:1`` that is captured on another device is empty."""
    current = []

    @contextlib.contextmanager
    def pretended(device):
        current.append(device)
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "device", pretended)
    monkeypatch.setattr("limitcycle.lab.how._usable", torch.device)
    monkeypatch.setattr("limitcycle.lab.machine.describe", lambda *_: {})
    with How("cuda:1").computing(Run()):
        assert current == [torch.device("cuda:1")]
    assert not current
    with How("cpu").computing(Run()):
        assert not current


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("settings", [{}, {"momentum": 0.9, "fixed_norm": 3.0}, {"augment": True}])
def test_cuda_graphs_change_nothing(settings, tmp_path):
    run = Run(steps=100, width=16, train_size=300, test_size=100, dtype="float64", **settings)
    graphs = train(run, tmp_path / "graphs", device="cuda")
    plain = train(run, tmp_path / "plain", device="cuda", graph=False)
    torch.testing.assert_close(
        torch.tensor(graphs.steps["loss"]), torch.tensor(plain.steps["loss"]), rtol=1e-9, atol=0
    )
