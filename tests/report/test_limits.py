"""Panels of one name span the same values in all figures."""

import numpy as np
import pytest

from limitcycle.reading.clock import Clock
from limitcycle.report.figure import Axis, Figure, Line, Panel
from limitcycle.report.limits import aligned


def figure(heights, *, log=False, name="norm", x=None):
    across = Clock(np.arange(len(heights), dtype=float)) if x is None else np.asarray(x, float)
    line = Line(across, np.asarray(heights, dtype=float), "black")
    sideways = None if x is None else Axis("x", log=True)
    return Figure((Panel(name, "Norm", Axis("ρ", log=log), (line,), sideways),), "steps")


def limits(figures):
    return [panel.y.limits for each in figures for panel in each.panels]


def test_limits_hold_all_values_with_a_margin():
    first, second = limits(aligned([figure([1, 2]), figure([3, 11, np.nan])]))
    assert first == second == pytest.approx((0.6, 11.4))


def test_a_logarithmic_axis_leaves_out_what_it_cannot_show():
    low, high = limits(aligned([figure([0, 1, 100], log=True)]))[0]
    assert 0.8 < low < 1
    assert 100 < high < 125


def test_other_names_are_left_alone():
    first, second = limits(aligned([figure([1, 2]), figure([30, 40], name="loss")]))
    assert first != second


def test_a_horizontal_axis_that_is_no_time_is_aligned_too():
    first, second = aligned([figure([1, 2], x=[1, 10]), figure([1, 2], x=[5, 100])])
    assert first.panels[0].x.limits == second.panels[0].x.limits
    assert first.panels[0].x.limits[1] > 100


def test_a_constant_keeps_its_own_limits():
    assert limits(aligned([figure([3, 3])])) == [None]
