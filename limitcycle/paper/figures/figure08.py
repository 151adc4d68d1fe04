"""Figure 8: a β-undetermined sequence comes into its interval (Proposition 5)."""

from collections.abc import Callable

import numpy as np

from limitcycle.paper.claim import Claim, Finding, holds_if
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import Experiment
from limitcycle.reading.clock import Array
from limitcycle.report.figure import RUN_COLOURS, Axis, Figure, Key, Line, Panel
from limitcycle.theory import (
    Form,
    convergence_bounds,
    limit_interval,
    sequence,
    settling_steps,
)

ALPHA, LOW, HIGH = 0.1, 1.0, 10.0  # α, a, b
START = 30.0
STEPS = 100
SEED = 0
INSTANCES = 1000
TOLERANCE = 0.01

KEYS = (
    Key("xₜ with βₜ uniform in [a, b]", RUN_COLOURS[0]),
    Key("with β = a and with β = b throughout", RUN_COLOURS[2], "dot"),
    Key("√(a/α) and √(b/α)", RUN_COLOURS[1], "dash"),
    Key("upper bound as printed", RUN_COLOURS[3], "dashdot"),
    Key("exact upper bound", RUN_COLOURS[4], "dash"),
)


def drawn(seed: int = SEED) -> Array:
    """x_0 … x_T of the instance with this seed."""
    betas = np.random.default_rng(seed).uniform(LOW, HIGH, STEPS)
    return sequence(START, ALPHA, betas)


def draw(_evidence: Evidence) -> list[Figure]:
    """The sequence, its two bounds and its interval."""
    t = np.arange(STEPS + 1.0)
    interval = limit_interval(ALPHA, LOW, HIGH)
    ends = np.array([0.0, STEPS])
    lines = (
        *(
            Line(ends, np.full(2, float(side)), KEYS[2].colour, dash="dash")
            for side in (interval.lower, interval.upper)
        ),
        *(
            Line(t, sequence(START, ALPHA, np.full(STEPS, beta)), KEYS[1].colour, dash="dot")
            for beta in (LOW, HIGH)
        ),
        Line(t, drawn(), KEYS[0].colour, KEYS[0].label, width=1.6),
    )
    step = Axis("step t")
    panels = (
        Panel("sequence", "α = 0.1, a = 1, b = 10", Axis("xₜ", log=True), lines, step),
        Panel("rate", "Rate (Lemma 1)", Axis("xₜ − √(b/α), β = b", log=True), _rate(), step),
    )
    return [Figure(panels, "steps", KEYS, columns=2)]


def _rate() -> tuple[Line, ...]:
    """How fast the sequence with β = b comes to its stationary point, with the upper bounds."""
    t = np.arange(STEPS // 2 + 1.0)
    rest = float(limit_interval(ALPHA, LOW, HIGH).upper)
    x = sequence(START, ALPHA, np.full(len(t) - 1, HIGH))
    forms: tuple[Form, Form] = ("printed", "exact")
    bounds = zip(KEYS[3:], forms, ("dashdot", "dash"), strict=True)
    return (
        *(
            Line(
                t,
                convergence_bounds(START, ALPHA, HIGH, t, form).upper - rest,
                key.colour,
                key.label,
                dash=dash,
            )
            for key, form, dash in bounds
        ),
        Line(t, x - rest, KEYS[1].colour, KEYS[1].label, dash="dot"),
    )


def comes_in(instance: Callable[[int], Array] = drawn) -> Callable[[Evidence], Finding]:
    """The drawn instance is inside in its second half, and in time within 1 % of the upper end."""

    def check(_evidence: Evidence) -> Finding:
        interval = limit_interval(ALPHA, LOW, HIGH)
        low, high = float(interval.lower), float(interval.upper)
        x = instance(SEED)
        entered = int(np.argmax(x <= high)) if (x <= high).any() else STEPS + 1
        due = int(settling_steps(START, ALPHA, HIGH, TOLERANCE))
        late = x[STEPS // 2 :]
        near = int(np.argmax(x <= (1 + TOLERANCE) * high)) if entered <= STEPS else STEPS + 1
        return holds_if(
            bool(((late >= low) & (late <= high)).all()) and near <= due,
            f"x ≤ √(b/α) = {high:.3g} from step {entered}, within 1 % of it at step {near} (due by "
            f"{due}); afterwards in [{x[entered:].min(initial=np.inf):.3g}, "
            f"{x[entered:].max(initial=0):.3g}] of [{low:.3g}, {high:.3g}]",
            entered=entered,
            due=due,
        )

    return check


def between(instance: Callable[[int], Array] = drawn) -> Callable[[Evidence], Finding]:
    """Every instance stays between the sequences with β = a and β = b."""

    def check(_evidence: Evidence) -> Finding:
        below = sequence(START, ALPHA, np.full(STEPS, LOW)) * (1 - 1e-12)
        above = sequence(START, ALPHA, np.full(STEPS, HIGH)) * (1 + 1e-12)
        inside = [
            bool(((x >= below) & (x <= above)).all()) for x in map(instance, range(INSTANCES))
        ]
        return holds_if(
            all(inside), f"{sum(inside):,} of {INSTANCES:,} instances at all {STEPS} steps"
        )

    return check


FIGURE = Experiment(
    number=8,
    title="A β-undetermined sequence comes into its interval",
    question="Does the norm's recursion with a gradient that varies between bounds settle between "
    "the stationary points of these bounds?",
    draw=draw,
    choices=(
        "start x₀ = 30, three times √(b/α): the paper names none; 100 steps, ten times 1/α",
        "one draw of β (seed 0) is shown; the second claim tries a thousand",
        "the right panel is ours",
    ),
    claims=(
        Claim(
            "sequence-interval",
            "The sequence comes from above into [√(a/α), √(b/α)] in O(1/α) steps and stays.",
            "Proposition 5, Figure 8",
            "the drawn instance is outside at a step of its second half, or not within 1 % of "
            "√(b/α) when the exact form of Proposition 5 says so",
            comes_in(),
        ),
        Claim(
            "sequence-bounds",
            "It stays between the sequences with β = a and with β = b throughout.",
            "Lemma 2, Remark 2",
            "one of a thousand draws leaves them",
            between(),
        ),
    ),
)
