"""Propositions 1 to 3 measured on runs: whether they hold, and how much they leave open."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from limitcycle.paper.claim import Finding, holds_if, undecided
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.questions.bounded import ENCLOSING, before, phase_b
from limitcycle.paper.questions.phases import Check, Histories, long_periods, rows_between
from limitcycle.paper.questions.reading import consistent, periodic, share
from limitcycle.reading.clock import Array, Rows
from limitcycle.reading.history import History, running_mean
from limitcycle.reading.period import Period
from limitcycle.theory import (
    Form,
    Interval,
    PremiseError,
    guaranteed_jump_threshold,
    kappa,
    possible_jump_threshold,
    t_max,
    t_min,
)

SELDOM = 0.01  # share of steps that may contradict
MOST = 0.9  # of the waits must not
FORMS: tuple[Form, ...] = ("exact", "printed")


def jump_conditions(of: Histories) -> Check:
    """(4a) and (4b) at δ = ηλ with ℓ(t), L(t) that enclosed every step of the phase B before."""

    def check(evidence: Evidence) -> Finding:
        cases = [
            _conditions(history, period, earlier)
            for history in of(evidence)
            for period in long_periods(history)
            if (earlier := before(history, period)) is not None
        ]
        if not cases:
            return undecided("no two complete periods: one to fit the bounds to, one to judge")
        steps, jumps, exact, printed, decided = np.sum(cases, axis=0)
        kept = max(exact, printed) <= SELDOM * steps
        if kept and jumps == 0:
            return undecided(f"no δ-jump with δ = ηλ in {steps:,.0f} steps of phase B")
        return holds_if(
            kept,
            "",
            ours={
                "δ-jumps": jumps,
                "steps of phase B": steps,
                "contradicted (exact)": exact,
                "(printed)": printed,
                "share of steps that the bounds decide": decided / steps,
            },
            likely="g̃ leaves the bounds of the period before",
            decided=decided / steps,
        )

    return check


def _conditions(history: History, period: Period, earlier: Period) -> Array:
    """Steps, jumps, contradictions of the exact and the printed form, steps that are decided."""
    phase = phase_b(history, period, ENCLOSING, earlier)
    valid = np.isfinite(phase.gradient.lower)
    rows = phase.rows[valid]
    squared = history.columns["norm"][rows] ** 2
    delta = history.lr * history.weight_decay
    jumped = history.columns["cosine_distance"][rows] > delta
    wrong = []
    open_steps = np.zeros(len(rows), dtype=bool)
    low, high = phase.gradient.lower[valid], phase.gradient.upper[valid]
    for form in FORMS:
        rest = (history.lr, history.weight_decay, delta)
        possible = squared < possible_jump_threshold(high, *rest, form=form)
        certain = squared < guaranteed_jump_threshold(low, *rest, form=form)
        wrong.append(((jumped & ~possible) | (certain & ~jumped)).sum())
        if form == "exact":
            open_steps = possible & ~certain
    return np.array([len(rows), jumped.sum(), *wrong, (~open_steps).sum()], dtype=float)


@dataclass(frozen=True)
class Wait:
    """The wait for a δ-jump from where phase B is calmest; NaN where a premise is not given."""

    steps: float
    exact: tuple[float, float]
    printed: tuple[float, float]


def waits(history: History) -> list[Wait]:
    """One a period: δ = ηλ/2, ℓ and L the extremes of g̃ in that stretch of the period before."""
    found = [
        _wait(history, period, earlier)
        for period in long_periods(history)
        if (earlier := before(history, period)) is not None
    ]
    return [wait for wait in found if wait is not None]


def _wait(history: History, period: Period, earlier: Period) -> Wait | None:
    stretch, known = _stretch(history, period), _stretch(history, earlier)
    if stretch is None or known is None:
        return None
    gradient = history.columns["effective_grad_norm"][known[0] : known[1] + 1]
    delta = history.lr * history.weight_decay / 2
    case = (
        float(history.columns["norm"][stretch[0]]), float(gradient.min()), float(gradient.max()),
        history.lr, history.weight_decay, delta,
    )  # fmt: skip
    exact, printed = ((_time(t_min, case, form), _time(t_max, case, form)) for form in FORMS)
    return Wait(float(stretch[1] - stretch[0]), exact, printed)


def _stretch(history: History, period: Period) -> tuple[int, int] | None:
    """The rows from where phase B is calmest to the first δ-jump; None where there is none."""
    rows = rows_between(history, period.phase_b, period.end + 1)
    inside = rows_between(history, period.phase_b, period.phase_c)
    distance = history.columns["cosine_distance"]
    trend = running_mean(distance[inside], max(len(inside) // 10, 1))
    start = int(inside[np.argmin(trend)])
    delta = history.lr * history.weight_decay / 2
    jumps = np.flatnonzero(distance[start : rows[-1] + 1] > delta)
    if len(jumps) == 0:
        return None
    return start, start + int(jumps[0])


def _time(bound: Callable[..., Array], case: Sequence[float], form: str) -> float:
    try:
        return float(bound(*case, form))
    except PremiseError:
        return float("nan")


def jump_times(of: Histories) -> Check:
    """Measured waiting times against t_min and t_max, exact and printed."""

    def check(evidence: Evidence) -> Finding:
        found = [wait for history in of(evidence) for wait in waits(history)]
        if not found:
            return undecided("no complete period with a δ-jump at its end")
        if not any(np.isfinite(wait.exact).any() for wait in found):
            return undecided(f"the premises of t_min and t_max are given in none of {len(found)}")
        return holds_if(
            share(_within(wait.steps, wait.exact) for wait in found) >= MOST,
            "",
            ours={
                "waits": float(len(found)),
                "steps": float(np.median([wait.steps for wait in found])),
                **_tightness(found, "exact"),
                **_tightness(found, "printed"),
            },
            likely="g̃ leaves the extremes of the period before",
        )

    return check


def _within(steps: float, bounds: tuple[float, float]) -> bool:
    """Whether ``steps`` contradict no bound; one that is NaN claims nothing."""
    return not (steps < bounds[0] or steps > bounds[1])


def _tightness(found: Sequence[Wait], form: str) -> dict[str, float]:
    """Medians of both bounds, in steps, and how many waits contradict one."""
    bounds = np.array([getattr(wait, form) for wait in found])
    early, late = (_middle(side) for side in bounds.T)
    wrong = sum(not _within(wait.steps, getattr(wait, form)) for wait in found)
    numbers = {
        f"t_min ({form})": early,
        f"t_max ({form})": late,
        f"contradicted ({form})": float(wrong),
    }
    return {name: value for name, value in numbers.items() if np.isfinite(value)}


def _middle(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else float("nan")


def global_bounds(history: History, rows: slice | None = None) -> tuple[float, float]:
    """The smallest and the largest g̃ of the consistent stage, or of these rows of it."""
    gradient = history.columns["effective_grad_norm"][rows or consistent(history)]
    return float(np.nanmin(gradient)), float(np.nanmax(gradient))


def premise_of_interval(of: Histories) -> Check:
    """2ηλL ≤ ℓ with the extremes of the consistent stage."""

    def check(evidence: Evidence) -> Finding:
        found = [history for history in of(evidence) if periodic(history)]
        if not found:
            return undecided("no run with periods")
        ratios = []
        for history in found:
            low, high = global_bounds(history)
            ratios.append(2 * history.lr * history.weight_decay * high / low)
        return holds_if(
            share(ratio <= 1 for ratio in ratios) > 0.5,
            "",
            ours={"2ηλL/ℓ": ratios[0]},
            likely="the product ηλ is larger than in the paper, and single batches reach further "
            "than means over an epoch",
            ratios=ratios,
        )

    return check


def interval(of: Histories) -> Check:
    """ρ² ∈ [κℓ, κL] in the second half of the consistent stage, with the first half's bounds."""

    def check(evidence: Evidence) -> Finding:
        found = [history for history in of(evidence) if periodic(history)]
        if not found:
            return undecided("no run with periods")
        inside, allowed, used = zip(*map(_in_interval, found), strict=True)
        trivial = min(allowed) > 2 * max(used)
        return holds_if(
            min(inside) >= 1 - SELDOM,
            "trivially true: the interval is more than twice as wide as what ρ² uses of it"
            if trivial
            else "",
            ours={
                "share inside": min(inside),
                "decades of the interval": allowed[0],
                "decades that ρ² uses": used[0],
            },
            inside=inside,
            decades=allowed,
            used=used,
        )

    return check


def _in_interval(history: History) -> tuple[float, float, float]:
    """Share of steps inside, decades of the interval, decades that ρ² uses."""
    rows = consistent(history)
    half = (rows.start + rows.stop) // 2
    factor = float(kappa(history.lr, history.weight_decay))
    low, high = (factor * g for g in global_bounds(history, slice(rows.start, half)))
    squared = history.columns["norm"][half : rows.stop] ** 2
    inside = share((squared >= low) & (squared <= high))
    return inside, float(np.log10(high / low)), float(np.log10(squared.max() / squared.min()))


def local_interval(
    of: Histories, bounds: Callable[[History, Period], tuple[Rows, Interval]]
) -> Check:
    """ρ² ∈ [κℓ(t), κL(t)] with bounds that follow g̃ through phase B."""

    def check(evidence: Evidence) -> Finding:
        found = [
            _locally(history, *bounds(history, period))
            for history in of(evidence)
            for period in long_periods(history)
        ]
        if not found:
            return undecided("no complete period")
        inside, above, wide = (float(np.median(values)) for values in zip(*found, strict=True))
        return holds_if(
            inside >= 0.5,
            "",
            ours={"share inside": inside, "share above κL(t)": above, "L/ℓ": wide},
            likely="ρ² can fall by no more than 2ηλ a step, while g̃ falls faster; the interval "
            "says where the norm tends, not where it is",
            inside=inside,
            above=above,
            width=wide,
        )

    return check


def bounds_of_phase(history: History, period: Period) -> tuple[Rows, Interval]:
    """ℓ(t) and L(t) of Eq. (17) around every step of phase B from t_valid on."""
    phase = phase_b(history, period, ENCLOSING)
    valid = np.isfinite(phase.gradient.lower)
    return phase.rows[valid], Interval(phase.gradient.lower[valid], phase.gradient.upper[valid])


def bounds_of_epoch(history: History, period: Period) -> tuple[Rows, Interval]:
    """The extremes of g̃ over the epoch around each step of phase B (Remark 1: several steps)."""
    rows = rows_between(history, period.phase_b, period.phase_c)
    epochs = history.clock.epochs
    width = 1 if epochs is None else round(len(epochs) / max(np.ptp(epochs), 1.0))
    gradient = pd.Series(history.columns["effective_grad_norm"])
    around = gradient.rolling(max(width, 1), center=True, min_periods=1)
    low, high = around.min().to_numpy(), around.max().to_numpy()
    return rows, Interval(low[rows], high[rows])


def _locally(history: History, rows: Rows, bounds: Interval) -> tuple[float, float, float]:
    """Share of steps inside, share above, median L/ℓ."""
    squared = history.columns["norm"][rows] ** 2
    factor = float(kappa(history.lr, history.weight_decay))
    low, high = factor * bounds.lower, factor * bounds.upper
    inside, above = share((squared >= low) & (squared <= high)), share(squared > high)
    return inside, above, float(np.median(bounds.upper / bounds.lower))
