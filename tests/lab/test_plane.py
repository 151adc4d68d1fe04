"""A plane as data: its cells' budgets and settings, the order of their making, what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limitcycle.errors import UserError
from limitcycle.lab import plane_of
from limitcycle.lab.plane import EVALUATIONS, LEAST_STEPS, rate, stages
from limitcycle.record import Run

sides = st.integers(1, 30)


@given(sides, sides)
def test_stages_make_every_cell_once(columns, rows):
    made = [cell for stage in stages(columns, rows) for cell in stage]
    assert sorted(made) == sorted((x, y) for x in range(columns) for y in range(rows))
    assert len(set(made)) == len(made)


@settings(deadline=None)
@given(sides, sides)
def test_stages_go_from_coarse_to_fine(columns, rows):
    done, reaches = np.zeros((0, 2)), []
    cells = np.array([(x, y) for x in range(columns) for y in range(rows)])
    for stage in stages(columns, rows):
        assert stage
        done = np.concatenate([done, stage])
        reaches.append(np.abs(cells[:, None] - done).max(axis=2).min(axis=1).max())
    assert reaches[0] <= 3  # no cell is further from one that was made, in a picture of nine
    assert reaches[-1] == 0
    assert reaches == sorted(reaches, reverse=True)


def test_a_first_stage_of_twelve_by_twelve_is_nine_cells_about_the_middle():
    first, second, third = stages(12, 12)
    assert first == [(x, y) for y in (1, 5, 9) for x in (1, 5, 9)]
    assert (len(second), len(third)) == (27, 108)


def test_budgets_are_units_of_the_time_scale_within_limits():
    plane = plane_of(
        {"lr": [0.01, 0.6, 1.0, 50.0], "weight_decay": [0.0, 0.01], "steps": 3_000}, units=10
    )
    steps = {(c.run.lr, c.run.weight_decay): c.run.steps for c in plane.cells}
    assert steps[0.6, 0.01] == round(10 / (0.6 * 0.01))
    assert steps[50.0, 0.01] == steps[1.0, 0.01] == LEAST_STEPS  # units would end it earlier
    assert steps[0.01, 0.01] == 3_000  # they would never end it
    assert steps[1.0, 0.0] == 3_000  # without decay there is no such time
    cut = {(c.run.lr, c.run.weight_decay): plane.is_cut(c.run) for c in plane.cells}
    assert cut[0.01, 0.01] and not cut[0.6, 0.01] and not cut[50.0, 0.01] and not cut[1.0, 0.0]


def test_every_cell_is_evaluated_equally_often():
    plane = plane_of({"lr": [0.01, 1.0, 10.0], "weight_decay": [1e-4, 0.01, 0.05]})
    counts = [c.run.steps / c.run.eval_every for c in plane.cells]
    assert min(counts) >= EVALUATIONS and max(counts) <= 1.1 * EVALUATIONS
    asked = plane_of({"lr": [0.01, 1.0], "weight_decay": [1e-4, 0.01], "eval_every": 7})
    assert {c.run.eval_every for c in asked.cells} == {7}


def test_momentum_runs_the_clock_faster():
    assert rate(Run(lr=0.1, weight_decay=0.01, momentum=0.9)) == pytest.approx(0.01)


def test_a_finer_plane_shares_the_runs_of_a_coarser_one():
    coarse = plane_of({"lr": [0.1, 1.0], "weight_decay": [1e-3, 1e-2]})
    fine = plane_of({"lr": [0.1, 0.316228, 1.0], "weight_decay": np.array([1e-2, 1e-3])})
    shared = {c.run.identity for c in coarse.cells} & {c.run.identity for c in fine.cells}
    assert len(shared) == 4


def test_values_are_put_in_order_once():
    plane = plane_of({"batch_size": [None, 128, 32, 128], "lr": np.float32([1, 0.5])})
    assert plane.xs == (32, 128, "full")
    assert plane.ys == (0.5, 1.0) and all(type(value) is float for value in plane.ys)
    assert [c.run.batch_size for c in plane.cells[:3]] == [32, 128, None]


def test_an_axis_of_networks_gives_each_its_own_width():
    plane = plane_of({"net": ["mlp", "convnet"], "lr": [0.1, 1.0]})
    assert [c.run.width for c in plane.cells[:2]] == [64, 32]


def test_settings_that_make_no_run_are_kept_with_the_reason():
    plane = plane_of({"lr": [0.1, 10.0], "weight_decay": [0.01, 0.1]})
    problems = [cell.problem for cell in plane.cells]
    assert problems[:3] == ["", "", ""]
    assert "below 1" in problems[3] and plane.cells[3].run is None


@pytest.mark.parametrize(
    ("spanned", "said"),
    [
        ({"lr": [0.1, 1.0]}, "not 1 (lr)"),
        ({"lr": 0.1}, "not 0 (none)"),
        ({"lr": [0.1, 1.0], "weight_decay": [0.1, 0.2], "seed": [0, 1]}, "not 3"),
        ({"lr": [0.1, 0.1], "seed": [0, 1]}, "lr needs two values"),
        ({"lr": [0.1, 1.0], "speed": [0, 1]}, "no setting 'speed'"),
        ({"lr": [0.1, 1.0], "steps": [10, 20]}, "steps cannot be an axis"),
        ({"lr": [0.1, 1.0], "seed": [0, 1], "epochs": 3}, "leave out epochs"),
        ({"lr": [0.1, 1.0], "seed": [0, 1], "net": "vgg"}, "net must be one of"),
        ({"lr": range(1, 102), "seed": range(100)}, "101 × 100 cells"),
        ({"lr": [0.1, 1.0], "seed": [0, 1], "steps": 0.5}, "steps must be a whole number"),
    ],
)
def test_what_is_no_plane_is_refused(spanned, said):
    with pytest.raises(UserError, match=said.replace("(", r"\(").replace(")", r"\)")):
        plane_of(spanned)


@pytest.mark.parametrize("units", [0, -1, float("nan")])
def test_units_must_be_positive(units):
    with pytest.raises(UserError, match="units must be positive"):
        plane_of({"lr": [0.1, 1.0], "seed": [0, 1]}, units=units)
