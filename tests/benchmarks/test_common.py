"""The bench's own arithmetic: ratios, bounds, turns, and what a clock on hooks counts."""

import time

import pytest
import torch

from benchmarks.common import (
    HookClock,
    Row,
    Timed,
    compared,
    duration,
    in_turn,
    paired,
    share,
    table,
)

A, B = Timed("a", 2.0), Timed("b", 1.0)


@pytest.mark.parametrize(
    ("bounds", "ok"),
    [
        ({}, None),
        ({"at_most": 2.0}, True),
        ({"at_most": 1.99}, False),
        ({"at_least": 2.0}, True),
        ({"at_least": 2.01}, False),
        ({"within": 2.0}, True),
        ({"within": 1.9}, False),
        ({"at_most": 3.0, "within": 1.9}, False),
    ],
)
def test_a_row_is_ok_where_every_bound_is_kept(bounds, ok):
    assert compared("it", A, B, **bounds).ok is ok


def test_a_row_survives_json():
    row = compared("it", A, B, at_most=0.5, within=3.0)
    assert Row.from_dict(row.to_dict()) == row
    assert row.to_dict()["ok"] is False


def test_calls_are_made_in_turn_and_warm_rounds_dropped():
    said = []

    def call(name):
        said.append(name)
        return float(len(said))

    found = in_turn([lambda: call("a"), lambda: call("b")], rounds=2, warm=1)
    assert said == list("ababab")
    assert found.tolist() == [[3.0, 4.0], [5.0, 6.0]]


def test_the_ratio_is_the_median_of_ratios_of_neighbours():
    # The machine slows down tenfold: medians of each side alone would say 10, 1 or 2.
    slow = iter([9.0, 2.0, 20.0, 20.0])
    fast = iter([9.0, 1.0, 10.0, 1.0])
    row = paired("it", ("a", lambda: next(slow)), ("b", lambda: next(fast)), rounds=3)
    assert row.ratio == 2.0
    assert row.a.seconds == 20.0


def test_a_clock_counts_the_hooks_between_and_nothing_else():
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    weight.grad = torch.ones(1)

    def sleep(seconds):
        return lambda *_: time.sleep(seconds)

    hooks = HookClock(optimizer)
    optimizer.register_step_pre_hook(sleep(0.05))
    hooks.stand()
    optimizer.register_step_pre_hook(sleep(0.002))
    optimizer.register_step_post_hook(sleep(0.003))
    hooks.stand()
    optimizer.register_step_post_hook(sleep(0.05))
    for _ in range(2):
        optimizer.step()
        assert hooks.take() >= 0.005
    assert hooks.take() == 0


def test_a_hook_that_puts_itself_last_counts():
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    weight.grad = torch.ones(1)
    hooks = HookClock(optimizer)
    hooks.stand()
    mine = optimizer.register_step_post_hook(lambda *_: time.sleep(0.003))
    hooks.stand()
    optimizer.register_step_post_hook(lambda *_: time.sleep(0.05))
    optimizer._optimizer_step_post_hooks.move_to_end(mine.id)
    optimizer.step()
    assert 0.003 <= hooks.take() < 0.05


def test_the_hooks_outside_do_not_count():
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    weight.grad = torch.ones(1)
    hooks = HookClock(optimizer)
    optimizer.register_step_pre_hook(lambda *_: time.sleep(0.5))
    hooks.stand()
    hooks.stand()
    optimizer.step()
    assert hooks.take() < 0.25


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(12.34, "12.3 s"), (1.0, "1 s"), (0.0456, "45.6 ms"), (7.89e-4, "789 µs"), (1234.0, "1234 s")],
)
def test_durations_in_words(seconds, said):
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("ratio", "said"), [(3.14159, "3.14"), (0.5, "0.5"), (0.0123, "1.23 %"), (0.2, "20 %")]
)
def test_shares_in_words(ratio, said):
    assert share(ratio) == said


def test_the_table_names_both_sides_bound_and_verdict():
    lines = table([compared("it", A, B, at_most=1.0), compared("that", B, A)]).splitlines()
    assert lines[2] == "| it | a: 2 s | b: 1 s | 2 | ≤ 1 | NO |"
    assert lines[3] == "| that | b: 1 s | a: 2 s | 0.5 |  | – |"
