"""Bounds (17) on phase B, and the cosine distance between them (Figures 3, 10 and 12)."""

from dataclasses import dataclass, replace

import numpy as np

from limitcycle.paper.claim import Finding, holds_if, undecided
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.questions.phases import Check, Histories, long_periods, median, rows_between
from limitcycle.paper.questions.reading import share
from limitcycle.reading.clock import Rows
from limitcycle.reading.history import History
from limitcycle.reading.period import Period, typical_period
from limitcycle.theory import Form, Interval, PowerBounds, distance_bounds, fit_power_bounds

SKIPPED = 0.1  # of a period, before which the bounds (17) are not asked to hold
LATEST = 0.9  # of the way at which they must be
WIDEST = 100.0  # C/c beyond which bounds say nothing
LEAST_INSIDE = 0.90  # of a period that the constants were not fitted to
ROUNDING = 1e-3  # relative, of a cosine distance that was worked out in single precision
HIGH_POWER = 1.0  # of L = C/(t − t₀)
OFF_POWER = 0.5  # by which the fitted exponent of g̃ may leave the range of the two bounds


@dataclass(frozen=True)
class FitRule:
    """How ℓ = c/(t − t₀)^low_power and L = C/(t − t₀) are fitted; see `phase_b`.

    Attributes:
        low_power: of ℓ.
        kept: share of the steps that c and C enclose.
    """

    low_power: float
    kept: float


SGD_RULE = FitRule(1.0, 0.98)  # the outermost 1 % of single batches on either side set no constant
FULL_BATCH_RULE = FitRule(2.0, 1.0)  # nothing is noise
ENCLOSING = FitRule(1.0, 1.0)  # for statements that assume ℓ ≤ g̃ ≤ L at every step


@dataclass(frozen=True)
class PhaseB:
    """Phase B of one period, with the bounds (17) fitted to it.

    Attributes:
        rows: of the history, shape (n,).
        bounds: ℓ(t) and L(t).
        gradient: ℓ and L at these rows, NaN before t_valid.
        distance: δ_min and δ_max of Section 4.1 as printed, at these rows: what the paper draws.
        exact: the same by Eq. (8).
    """

    rows: Rows
    bounds: PowerBounds
    gradient: Interval
    distance: Interval
    exact: Interval


def phase_b(
    history: History, period: Period, rule: FitRule = SGD_RULE, fitted_to: Period | None = None
) -> PhaseB:
    """Phase B of ``period`` and its bounds (17).

    t₀ is the first step of the period; t_valid lies a tenth of the way from there to the end of
    phase B, or where the loss has recovered from its peak, if that is later. c and C enclose the
    share ``rule.kept`` of the steps from t_valid on: of this period, or of ``fitted_to``.
    """
    rows = rows_between(history, period.phase_b, period.phase_c)
    t = history.clock.steps[rows]
    bounds = _fitted(history, period, rule)
    if fitted_to is not None:
        other = _fitted(history, fitted_to, rule)
        bounds = replace(other, start=bounds.start, valid_from=bounds.valid_from)
    gradient = bounds.at(t)
    valid = t >= bounds.valid_from

    def distance(form: Form) -> Interval:
        found = distance_bounds(
            history.columns["norm"][rows],
            np.nan_to_num(gradient.lower),
            np.nan_to_num(gradient.upper),
            history.lr,
            history.weight_decay,
            form=form,
        )
        return Interval(*(np.where(valid, side, np.nan) for side in (found.lower, found.upper)))

    return PhaseB(rows, bounds, gradient, distance("printed"), distance("exact"))


def _fitted(history: History, period: Period, rule: FitRule) -> PowerBounds:
    rows = rows_between(history, period.phase_b, period.phase_c)
    length = period.phase_c - period.phase_a
    skipped = max(SKIPPED, (_recovered(history, period) - period.phase_a) / max(length, 1.0))
    return fit_power_bounds(
        history.clock.steps[rows],
        history.columns["effective_grad_norm"][rows],
        period.phase_a,
        low_power=rule.low_power,
        skip=min(skipped, LATEST),
        share=rule.kept,
    )


def _recovered(history: History, period: Period) -> float:
    """The step at which the loss is half the way back from the peak that begins ``period``."""
    events = history.diagnosis.events
    own = events[events["peak"] == period.phase_a]
    return float(own["recovery"].iloc[0]) if len(own) else period.phase_a


def before(history: History, period: Period) -> Period | None:
    """The long period before ``period``, to which bounds are fitted; None where there is none."""
    earlier = [each for each in long_periods(history) if each.end <= period.phase_a]
    return earlier[-1] if earlier else None


def decay_power(history: History, phase: PhaseB) -> float:
    """e of g̃ ∝ (t − t₀)^e from t_valid on; every part of log t counts alike."""
    age = history.clock.steps[phase.rows] - phase.bounds.start
    gradient = history.columns["effective_grad_norm"][phase.rows]
    kept = np.isfinite(phase.gradient.lower) & (gradient > 0) & (age > 0)
    x, y = np.log(age[kept]), np.log(gradient[kept])
    return float(np.polyfit(x, y, 1, w=np.exp(-x / 2))[0]) if len(x) > 2 else float("nan")


def growth(history: History, period: Period) -> float:
    """By which factor the cosine distance grows from the middle of phase B to its end.

    Geometric means over a tenth of the phase; below 1 it shrinks.
    """
    rows = rows_between(history, period.phase_b, period.phase_c)
    tenth = max(len(rows) // 10, 1)
    middle = len(rows) // 2
    log = np.log(np.maximum(history.columns["cosine_distance"][rows], 1e-30))
    around = log[middle - tenth // 2 : middle - tenth // 2 + tenth]
    return float(np.exp(np.nanmean(log[-tenth:]) - np.nanmean(around)))


def median_growth(history: History) -> float:
    """The median of `growth` over the run's complete periods; NaN without any."""
    return median([growth(history, period) for period in long_periods(history)])


def bounds_hold(of: Histories, rule: FitRule = SGD_RULE) -> Check:
    """The cosine distance lies between δ_min and δ_max of ℓ, L fitted to the period before.

    Whether g̃ has the form of ℓ and L is told by its own exponent.
    """
    powers = (-rule.low_power - OFF_POWER, -HIGH_POWER + OFF_POWER)

    def check(evidence: Evidence) -> Finding:
        (history,) = of(evidence)
        period = _measurable(history)
        earlier = before(history, period) if period else None
        if period is None or earlier is None:
            return undecided("no two complete periods: one to fit the bounds to, one to judge")
        phase = phase_b(history, period, rule, earlier)
        inside = _share_inside(history, phase, phase.exact)
        exponent, wide = decay_power(history, phase), spread(phase)
        of_their_form = powers[0] <= exponent <= powers[1]
        return holds_if(
            inside >= LEAST_INSIDE and wide <= WIDEST and of_their_form,
            "",
            ours={
                "share inside": inside,
                "inside the printed bounds": _share_inside(history, phase, phase.distance),
                "L/ℓ": wide,
                "e of g̃ ∝ (t − t₀)^e": exponent,
                "c": phase.bounds.low_constant,
                "C": phase.bounds.high_constant,
            },
            likely="periods differ by more than the bounds may",
            cause="" if of_their_form else "g̃ does not fall in the way that ℓ and L do",
            inside=inside,
            width=wide,
            exponent=exponent,
        )

    return check


def spread(phase: PhaseB) -> float:
    """The largest L/ℓ from t_valid on."""
    return float(np.nanmax(phase.gradient.upper / phase.gradient.lower))


def _measurable(history: History) -> Period | None:
    """The period that is drawn, where its phase B has rows enough."""
    period = typical_period(history)
    return period if period in long_periods(history) else None


def _share_inside(history: History, phase: PhaseB, bounds: Interval) -> float:
    distance = history.columns["cosine_distance"][phase.rows]
    valid = np.isfinite(bounds.lower)
    # The bounds are reached by the steps that c and C are taken from: rounding must not decide.
    low, high = bounds.lower[valid] * (1 - ROUNDING), bounds.upper[valid] * (1 + ROUNDING)
    return share((distance[valid] >= low) & (distance[valid] <= high))


def grows_late(of: Histories) -> Check:
    """The cosine distance is larger at the end of phase B than in its middle."""

    def check(evidence: Evidence) -> Finding:
        factors = [f for history in of(evidence) if np.isfinite(f := median_growth(history))]
        if not factors:
            return undecided("no complete period")
        return holds_if(
            median(factors) > 1,
            "",
            ours={"factor": median(factors)},
            likely=_TOO_SHORT,
            factors=factors,
        )

    return check


_TOO_SHORT = (
    "with g̃ ∝ 1/(t − t₀) and ρ ∝ exp(−ηλt) the distance (ηg̃)²/2ρ⁴ only grows from t − t₀ = 1/(2ηλ) "
    "on; where batches are noisy and ηλ is large, phase B is over by then"
)
