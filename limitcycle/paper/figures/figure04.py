"""Figure 4: no periods on a sphere: the norm fixed at initialisation, or before a jump."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from limitcycle.paper.claim import Claim, Finding, holds_if, undecided
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import Experiment
from limitcycle.paper.questions.fixed_norm import (
    EARLY,
    FREE,
    LATE,
    Spheres,
    calm_line,
    claims,
    draw,
    updates,
)
from limitcycle.paper.questions.reading import lower_error, unbroken
from limitcycle.paper.scale import Scale
from limitcycle.reading.clock import Array
from limitcycle.reading.history import History
from limitcycle.record import Run

FACTORS = (1.0, 0.5, 0.25, 0.0625)
SNAPSHOTS = 400
UNITS = {"quick": 2.0, "laptop": 3.0, "workstation": 1.5, "paper": 3.0}

SPHERES = Spheres(
    parent=lambda scale: parent(scale),
    factors=lambda scale: FACTORS,
    steps=lambda scale: budget(scale),
)


def parent(scale: Scale) -> Run:
    """The run of Figure 2, with snapshots close enough to each other to stop just before a jump."""
    run = scale.shared(scale.lr)
    return replace(run, snapshot_every=max((run.steps or 0) // SNAPSHOTS, 1))


def budget(scale: Scale) -> int:
    """Steps of a run with a fixed norm."""
    return round(scale.of(UNITS) / (scale.lr * scale.weight_decay))


def warm_up_jumps(history: History) -> list[tuple[float, float]]:
    """Median test error in the second half of phase B before and after each warm-up jump.

    A warm-up jump starts before the consistent stage; the first jump counts in any case.
    """
    starts = history.diagnosis.events["start"].to_numpy(float)
    recoveries = history.diagnosis.events["recovery"].to_numpy(float)
    edges = np.concatenate([[0.0], recoveries])
    ends = np.concatenate([starts, [history.clock.steps[-1]]])
    errors = [_settled(history, start, end) for start, end in zip(edges, ends, strict=True)]
    until = history.diagnosis.consistent_from
    last = max(1, sum(start < until for start in starts) if until is not None else len(starts))
    return list(pairwise(errors))[:last]


def _settled(history: History, start: float, end: float) -> float:
    at = history.test_clock.steps
    inside = (at >= (start + end) / 2) & (at <= end) & np.isfinite(history.test_error)
    return float(np.median(history.test_error[inside])) if inside.any() else float("nan")


def error_falls(evidence: Evidence) -> Finding:
    """The test error falls after every warm-up jump."""
    (history,) = unbroken(evidence[FREE])
    pairs = [(a, b) for a, b in warm_up_jumps(history) if np.isfinite(a - b)]
    if not pairs:
        return undecided("no warm-up jump with evaluations before and after it")
    words = ", ".join(f"{before:.2%} → {after:.2%}" for before, after in pairs)
    return holds_if(all(after < before for before, after in pairs), words, likely=_FEW_IMAGES)


def below_fixed(evidence: Evidence) -> Finding:
    """After as many steps the free run's test error is below that of those with a fixed norm."""
    histories = {name: unbroken(evidence[name]) for name in (FREE, EARLY, LATE)}
    everyone = [history for found in histories.values() for history in found]
    end = min(total_steps(history)[-1] for history in everyone)
    free, *fixed = (
        [late_test_error(history, end) for history in found] for found in histories.values()
    )
    best = min(fixed, key=lambda errors: float(np.mean(errors)))
    return lower_error(
        free,
        best,
        everyone,
        f"free norm and the better fixed one, medians of the last quarter of {end:,.0f} steps",
        free=free,
        fixed=fixed,
    )


def total_steps(history: History) -> Array:
    """The steps of its evaluations, counted from where the run it continues began, shape (m,)."""
    start = history.source.run.start_from
    return history.test_clock.steps + (updates(start) if start else 0)


def late_test_error(history: History, end: float) -> float:
    """Median test error in the last quarter of ``end`` steps in all; NaN where not measured."""
    at = total_steps(history)
    late = (at > 0.75 * end) & (at <= end) & np.isfinite(history.test_error)
    return float(np.median(history.test_error[late])) if late.any() else float("nan")


_FEW_IMAGES = "on an easy task few test images are wrong, and one of them is a large step"


FIGURE = Experiment(
    number=4,
    title="No periods where the weight norm is fixed",
    question="Do periods remain where weights are rescaled to a fixed norm after every step, from "
    "the start or from shortly before a destabilisation?",
    runs=SPHERES.runs,
    later=SPHERES.later,
    draw=lambda evidence: [
        *draw(evidence, FACTORS, "epochs"),
        calm_line(evidence, SPHERES.factors),
    ],
    seeds=(0, 1, 2, 3, 4),
    choices=(
        "norms of the left pair: 1, 1/2, 1/4 and 1/16 of the initial one; the paper names none; "
        "they reach from effective learning rates below the periods' range to above it",
        "fixed at 0.75 and 0.90 of the way to the parent's first destabilisation, the paper's "
        "epochs 150 and 180 of 200, at the last of its four hundred snapshots before that; and at "
        "0.95 and 0.98, which are not drawn",
        "budget with a fixed norm: 2/(ηλ) to 3/(ηλ), longer than the way to the first jump",
        "destabilisations are counted as spikes of the loss, free norm or fixed: "
        "the loss leaves its low level and comes back, whatever the norm does",
        "five seeds: with three the verdicts change",
        "thin lines: the other seeds",
    ),
    claims=(
        *claims(SPHERES, "", "Section 3, Figure 4"),
        Claim(
            "warm-up-test-error",
            "The test error falls after each of the warm-up's destabilisations.",
            "Section 5, Figure 4",
            "after one of them the median test error (second half of the quiet stretch) is no "
            "lower than before it",
            error_falls,
        ),
        Claim(
            "warm-up-below-fixed",
            "The test error with a free norm gets below that of training at an effective learning "
            "rate fixed on its way.",
            "Section 5, Figure 4",
            "at one of the two fixed norms the test error is lower: median of the last quarter of "
            "as many steps in all as every run has; undecided where the difference over seeds has "
            "an interval (Student's, and two binomial standard errors) that holds 0",
            below_fixed,
            pooled=True,
        ),
    ),
)
