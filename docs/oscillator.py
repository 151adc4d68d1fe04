"""The first picture of docs/theory.md: a two-dimensional Rayleigh quotient oscillates by itself.

Run as ``.venv/bin/python docs/oscillator.py``; it writes docs/oscillator.png.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from limitcycle.reading.clock import Clock
from limitcycle.report.figure import Axis, Figure, Key, Line, Mark, Panel, Points
from limitcycle.report.paint import paint
from limitcycle.theory import growth_threshold, norm_grows, rayleigh, rayleigh_oscillator

ETA, LAM, STEPS = 0.1, 0.05, 1000
FALLS, GROWS, LINE = "#0072B2", "#D55E00", "#7F7F7F"
ONE = slice(400, 723)  # a period: from one jump to the next
FLOOR = 1e-5  # the loop dips to effective gradients below 1e-50, which no axis need show

Array = NDArray[np.float64]


def main() -> None:
    """Simulate, draw, write."""
    run = rayleigh_oscillator((1.0, 0.5), ETA, LAM, STEPS)
    grows = norm_grows(run.cosine_distance, ETA, LAM)
    rho = np.sqrt(run.squared_norm[:-1])
    gradient = run.effective_gradient[:-1]
    clock = Clock(np.arange(STEPS, dtype=np.float64))
    still = np.full(STEPS, ETA * LAM)
    distance = np.where(run.cosine_distance > FLOOR, run.cosine_distance, np.nan)
    panels = (
        _against_time("loss", "loss", Axis("f(x)"), rayleigh(run.x[:-1]), grows, clock),
        _against_time("norm", "norm", Axis("norm ρ", log=True), rho, grows, clock),
        _against_time("angle", "cosine distance of a step", Axis("1 − cos", log=True),
                      distance, grows, clock, still),
        _phase_diagram((ETA / rho**2)[ONE], gradient[ONE], grows[ONE]),
    )  # fmt: skip
    keys = (
        Key("norm falls", FALLS),
        Key("norm grows", GROWS),
        Key("stands still", LINE, "dash"),
    )
    paint(Figure(panels, "steps", keys), Path(__file__).with_suffix(".png"), width=3.8)


def _against_time(
    name: str, title: str, y: Axis, values: Array, grows: NDArray[np.bool_], clock: Clock,
    line: Array | None = None,
) -> Panel:  # fmt: skip
    marks: tuple[Mark, ...] = (
        Line(clock, values, FALLS),
        Points(clock, np.where(grows, values, np.nan), GROWS, size=3.5),
    )
    if line is not None:
        marks = (Line(clock, line, LINE, dash="dash"), *marks)
    return Panel(name, title, y, marks)


def _phase_diagram(rate: Array, gradient: Array, grows: NDArray[np.bool_]) -> Panel:
    shown = np.where(gradient > FLOOR, gradient, np.nan)
    ends = np.array([rate.min() / 1.2, rate.max() * 1.2])
    marks = (
        Line(ends, float(growth_threshold(ETA, LAM)) / ends, LINE, dash="dash"),
        Line(rate, shown, FALLS, width=0.9),
        Points(rate, np.where(grows, shown, np.nan), GROWS, size=3.5),
    )
    y, x = Axis("effective gradient g̃", log=True), Axis("effective learning rate η/ρ²", log=True)
    return Panel("phase", "phase diagram, one period", y, marks, x)


if __name__ == "__main__":
    main()
