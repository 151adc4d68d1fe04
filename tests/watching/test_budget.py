"""Rows that keep to a share of the training's time."""

import itertools

import pandas as pd
import pytest
import torch

import limitcycle as lc
from limitcycle.errors import UserError
from limitcycle.watching.budget import MOST, Budget
from tests.watching import loops


class Clock:
    """Stands still unless it is moved."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def rows(budget, clock, *, cost, pace, count, start=0):
    """So many rows of that cost (half of it before the step), with steps of that pace."""
    step, steps = start, []
    for _ in range(count):
        budget.begin()
        clock.now += cost / 2
        budget.pause()
        clock.now += pace / 2
        called = budget.now()
        clock.now += cost / 2
        budget.end(step, called)
        steps.append(step)
        clock.now += pace / 2 + (budget.every - 1) * pace
        step += budget.every
    return steps


@pytest.mark.parametrize(
    ("cost", "pace", "share", "every"),
    [
        (1e-3, 1e-2, 0.01, 10),
        (1e-3, 1e-2, 0.1, 1),
        (1e-3, 1.0, 0.01, 1),
        (1.5e-3, 1e-2, 0.01, 15),
        (1.0, 1e-6, 0.01, MOST),
    ],
)
def test_rows_are_as_far_apart_as_the_budget_asks(cost, pace, share, every):
    clock = Clock()
    budget = Budget(share, clock)
    steps = rows(budget, clock, cost=cost, pace=pace, count=20)
    assert budget.every == pytest.approx(every, abs=1 if every not in (1, MOST) else 0)
    assert steps[:6] == list(range(6))  # it has to look first
    assert budget.cost == pytest.approx(cost) and budget.pace == pytest.approx(pace)


def test_it_follows_a_training_whose_steps_become_longer():
    clock = Clock()
    budget = Budget(0.01, clock)
    steps = rows(budget, clock, cost=1e-3, pace=1e-3, count=20)
    assert budget.every in (100, 101)
    rows(budget, clock, cost=1e-3, pace=0.05, count=20, start=steps[-1] + budget.every)
    assert budget.every in (2, 3)


@pytest.mark.parametrize("share", [0, 1, -0.1, True, "1 %", float("nan")])
def test_what_is_no_share_is_refused(share):
    with pytest.raises(UserError, match="budget must be a share of the time"):
        lc.watch(loops.net(), sgd(loops.net()), budget=share)


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01)


def test_a_budget_and_every_exclude_each_other():
    model = loops.net()
    with pytest.raises(UserError, match="either every or budget"):
        lc.watch(model, sgd(model), every=2, budget=0.01)


@pytest.mark.parametrize("before", [True, False])
def test_the_rows_of_a_budget_are_those_of_the_whole_table(before, capsys):
    tables, weights = [], []
    for settings in ({}, {"budget": 0.02}):
        model = loops.net()
        optimizer = sgd(model)
        with lc.watch(model, optimizer, quiet=True, **settings) as w:
            for t in range(250):
                optimizer.zero_grad()
                loss = loops.loss_of(model, t % 5)
                loss.backward()
                if before:
                    w.log(loss=loss)
                optimizer.step()
                if not before:
                    w.log(loss=loss)
        tables.append(w.steps.set_index("step"))
        weights.append(loops.weights(model))
    whole, some = tables
    assert 8 < len(some) < 125  # a row costs more than a fiftieth of so small a step
    assert list(some.index[:6]) == list(range(6))
    pd.testing.assert_frame_equal(some, whole.loc[some.index], rtol=1e-12)
    for mine, others in zip(*(itertools.chain(each.values()) for each in weights), strict=True):
        assert torch.equal(mine, others)
    assert "has a row, to keep to 2 % of the time" in capsys.readouterr().err
    assert any("to keep to 2 %" in note for note in w.diagnosis().notes)
