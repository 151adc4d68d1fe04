"""Figure 4: no periods on a sphere: the norm fixed at initialisation, or before a jump."""

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
    claims,
    draw,
    updates,
)
from limitcycle.paper.questions.products import test_images
from limitcycle.paper.questions.reading import listed, share, unbroken
from limitcycle.paper.scale import Scale
from limitcycle.reading.clock import Array
from limitcycle.reading.history import History

FACTORS = (1.0, 0.5, 0.25, 0.0625)
UNITS = {"quick": 2.0, "laptop": 3.0, "paper": 3.0}

SPHERES = Spheres(
    parent=lambda scale: scale.shared(scale.lr),
    factors=lambda scale: FACTORS,
    steps=lambda scale: budget(scale),
)


def budget(scale: Scale) -> int:
    """Steps of a run with a fixed norm."""
    return round(UNITS[scale.name] / (scale.lr * scale.weight_decay))


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
    """In most seeds the test error falls after every warm-up jump."""
    seeds = [
        [(a, b) for a, b in warm_up_jumps(history) if np.isfinite(a - b)]
        for history in unbroken(evidence[FREE])
    ]
    if not any(seeds):
        return undecided("no warm-up jump with evaluations before and after it")
    falls = [all(after < before for before, after in pairs) for pairs in seeds if pairs]
    words = "; ".join(
        ", ".join(f"{before:.2%} → {after:.2%}" for before, after in pairs) or "none"
        for pairs in seeds
    )
    return holds_if(share(falls) > 0.5, words, likely=_FEW_IMAGES)


def below_fixed(evidence: Evidence) -> Finding:
    """After as many steps the free run's test error is below that of those with a fixed norm."""
    histories = {name: unbroken(evidence[name]) for name in (FREE, EARLY, LATE)}
    everyone = [history for found in histories.values() for history in found]
    end = min(total_steps(history)[-1] for history in everyone)
    free, *fixed = (
        float(np.median([late_test_error(history, end) for history in found]))
        for found in histories.values()
    )
    if not np.isfinite([free, *fixed]).all():
        return undecided("the test error was not measured late enough")
    rival = min(fixed)
    largest = max(free, rival)
    room = 2 * float(np.sqrt(largest * (1 - largest) / min(map(test_images, everyone))))
    words = (
        f"test error {free:.2%} free, {listed(fixed, '.2%')} at a fixed effective learning rate "
        f"(early, late), medians of the last quarter of {end:,.0f} steps (room: {room:.2%})"
    )
    if 0 < rival - free <= room:
        return undecided(f"below, but by no more than two standard errors: {words}")
    return holds_if(free < rival, words, likely=_FEW_IMAGES, free=free, fixed=fixed, room=room)


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
    draw=lambda evidence: draw(evidence, FACTORS, "epochs"),
    three_seeds=True,
    choices=(
        "norms of the left pair: 1, 1/2, 1/4 and 1/16 of the initial one; the paper names none; "
        "they reach from effective learning rates below the periods' range to above it",
        "fixed at 0.75 and 0.90 of the way to the parent's first jump, the paper's epochs 150 and "
        "180 of 200, at the last of its hundred snapshots before that",
        "budget with a fixed norm: 3/(ηλ), about twice the way to the first jump",
        "without a moving norm a destabilisation is a sixfold rise of the loss, mean over an epoch",
    ),
    claims=(
        *claims(SPHERES, "", "Section 3, Figure 4"),
        Claim(
            "warm-up-test-error",
            "The test error falls after each of the warm-up's destabilisations.",
            "Section 5, Figure 4",
            "after one of them the median test error (second half of the quiet stretch) is no "
            "lower than before it, in half of the seeds or more",
            error_falls,
        ),
        Claim(
            "warm-up-below-fixed",
            "The test error with a free norm gets below that of training at an effective learning "
            "rate fixed on its way.",
            "Section 5, Figure 4",
            "at one of the two fixed norms the test error is as low: median of the last quarter of "
            "as many steps in all as every run has, then over seeds; undecided if it is lower with "
            "a free norm, but by no more than twice the binomial standard error",
            below_fixed,
        ),
    ),
)
