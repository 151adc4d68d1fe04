"""Figure 7: the map φ(γ) by which a β-determined sequence moves, at α = 0.1."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from limitcycle.paper.claim import Claim, Finding, holds_if
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import Experiment
from limitcycle.reading.clock import Array
from limitcycle.report.figure import RUN_COLOURS, Axis, Figure, Key, Line, Panel, Points
from limitcycle.theory import landmarks, phi

ALPHA = 0.1
LARGEST = 2.0
POINTS = 4001
CLOSE = 1e-9

Map = Callable[[Array, float], Array]

KEYS = (
    Key("φ(γ) = (1 − α)γ + α/γ, α = 0.1", RUN_COLOURS[0]),
    Key("γ itself", RUN_COLOURS[6], "dash"),
    Key("α/(1 − α): φ = 1", RUN_COLOURS[1], "dot"),
    Key("√(α/(1 − α)): φ is least, 2√(α(1 − α))", RUN_COLOURS[2], "dashdot"),
    Key("stationary point γ = 1", RUN_COLOURS[3], "dot"),
)


def draw(_evidence: Evidence) -> list[Figure]:
    """φ over γ, with its three marks, and the part that holds two of them enlarged."""
    gamma = np.geomspace(0.03, LARGEST, 800)
    marks = landmarks(ALPHA)
    hop, turn, lowest = float(marks.hop), float(marks.turn), float(marks.lowest)
    top = float(phi(gamma[0], ALPHA))
    _, _, first, second, rest = (key.colour for key in KEYS)
    lines = (
        Line(gamma, phi(gamma, ALPHA), KEYS[0].colour, KEYS[0].label, width=1.8),
        Line(np.array([0, LARGEST]), np.array([0, LARGEST]), KEYS[1].colour, dash="dash"),
        *_cross(hop, 1.0, first, "dot"),
        *_cross(turn, lowest, second, "dashdot"),
        *_cross(1.0, 1.0, rest, "dot"),
    )
    dots = tuple(
        Points(np.array([x]), np.array([y]), colour, size=8.0)
        for x, y, colour in ((hop, 1.0, first), (turn, lowest, second), (1.0, 1.0, rest))
    )
    axis = Axis("γₜ₊₁ = φ(γₜ)", limits=(0.0, 0.9 * top))
    near = Axis("γₜ = xₜ/x*", limits=(0.0, 0.5))
    panels = (
        Panel("phi", "One step of the sequence", axis, (*lines, *dots), Axis("γₜ = xₜ/x*")),
        Panel(
            "marks", "Its marks, enlarged", replace(axis, limits=(0.4, 1.4)), (*lines, *dots), near
        ),
    )
    return [Figure(panels, "steps", KEYS, columns=2)]


def _cross(x: float, y: float, colour: str, dash: str) -> tuple[Line, Line]:
    """From a point down to the horizontal axis and left to the vertical one."""
    return (
        Line(np.array([x, x]), np.array([0.0, y]), colour, dash=dash),
        Line(np.array([0.0, x]), np.array([y, y]), colour, dash=dash),
    )


def shape(of: Map = phi) -> Callable[[Evidence], Finding]:
    """Properties (13a) to (13g) of the map on a fine grid of γ."""

    def check(_evidence: Evidence) -> Finding:
        gamma = np.linspace(CLOSE, LARGEST, POINTS)
        marks = landmarks(ALPHA)
        wrong = [name for name, holds in _properties(of, gamma, marks.hop, marks.turn) if not holds]
        least = float(of(np.asarray(marks.turn), ALPHA))
        return holds_if(
            not wrong,
            f"contradicted: {', '.join(wrong)}" if wrong else
            f"all seven on {POINTS:,} points; least value {least:.3f} at γ = {marks.turn:.3f}, "
            f"φ = 1 at γ = {marks.hop:.3f} and 1",
            least=least,
        )  # fmt: skip

    return check


def _properties(of: Map, gamma: Array, hop: Array, turn: Array) -> list[tuple[str, bool]]:
    after = np.asarray(of(gamma, ALPHA))
    slope = np.diff(after)
    middle = (gamma[1:] + gamma[:-1]) / 2
    below, above = gamma < 1 - CLOSE, gamma > 1 + CLOSE
    inside = (gamma > hop + CLOSE) & below
    at_marks = np.asarray(of(np.array([float(hop), 1.0]), ALPHA))
    least = 2 * np.sqrt(ALPHA * (1 - ALPHA))
    step = float(gamma[1] - gamma[0])
    return [
        ("13a", bool((after[below] > gamma[below]).all())),
        ("13b", bool(((after[above] > 1) & (after[above] < gamma[above])).all())),
        ("13c", bool(np.allclose(at_marks, 1))),
        ("13d", bool(((after < 1) == inside)[np.abs(gamma - 1) > CLOSE].all())),
        ("13e", bool((slope[middle < turn - step] < 0).all())),
        ("13f", bool((slope[middle > turn + step] > 0).all())),
        ("13g", bool(after.min() >= least - CLOSE and np.isclose(of(turn, ALPHA), least))),
    ]


FIGURE = Experiment(
    number=7,
    title="One step of a β-determined sequence",
    question="Where does the map of the norm's recursion leap over its stationary point, and where "
    "does it turn?",
    draw=draw,
    choices=("range of γ: up to 2; the right panel is ours",),
    claims=(
        Claim(
            "map-shape",
            "Below its stationary point the map rises, above it falls towards it; it leaps over it "
            "from below α/(1 − α) only; its least value 2√(α(1 − α)) is at √(α/(1 − α)).",
            "Eqs. (13a)–(13g), Figure 7",
            "one of the seven properties is contradicted at one of 4,001 points up to γ = 2",
            shape(),
        ),
    ),
)
