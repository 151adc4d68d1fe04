"""What Figures 3 and 10 measure on the periods of a run: order, errors, losses, jumps."""

from collections.abc import Callable, Sequence

import numpy as np

from limitcycle.errors import UserError
from limitcycle.paper.claim import Finding, holds_if, undecided
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.questions.reading import share
from limitcycle.reading.clock import Array, Rows
from limitcycle.reading.history import History
from limitcycle.reading.period import Period, periods, typical_period

Check = Callable[[Evidence], Finding]
Histories = Callable[[Evidence], Sequence[History]]

ROWS_OF_A_PHASE = 20  # fewer tell nothing of its course
NEAR_ZERO = 0.05
FAR_ABOVE = 10.0
LEAD = 2  # steps; one lies between a gradient and the norm that it makes, whatever comes first


def rows_between(history: History, start: float, end: float) -> Rows:
    """The rows of the steps from ``start`` to before ``end``."""
    first, last = np.searchsorted(history.clock.steps, [start, end])
    return np.arange(first, last)


def long_periods(history: History) -> list[Period]:
    """The complete periods whose phase B has rows enough to be measured."""
    return [
        period
        for period in periods(history)
        if len(rows_between(history, period.phase_b, period.phase_c)) >= ROWS_OF_A_PHASE
    ]


def order(of: Histories) -> Check:
    """In A the norm rises, in B it falls, in C loss and effective gradient grow; in this order."""

    def check(evidence: Evidence) -> Finding:
        found = [_in_order(history, p) for history in of(evidence) for p in long_periods(history)]
        if not found:
            return undecided("no complete period")
        return holds_if(
            share(found) >= 0.9,
            f"{sum(found)} of {len(found)} complete periods",
            share=share(found),
        )

    return check


def _in_order(history: History, period: Period) -> bool:
    norm, loss = history.columns["norm"], history.columns["loss"]
    gradient = history.columns["effective_grad_norm"]
    start, top, leave, end = history.rows_of(
        [period.phase_a, period.phase_b, period.phase_c, period.end]
    )
    if not start < top < leave < end:
        return False
    rises, falls = np.diff(norm[start : top + 1]) > 0, np.diff(norm[top : leave + 1]) < 0
    grows = loss[end] > loss[leave] and gradient[end] > gradient[leave]
    return bool(rises.mean() > 0.5 and falls.mean() > 0.5 and grows)


def near_zero_error(of: Histories) -> Check:
    """The train error falls from above 5 % around the peak to below it behind A → B."""

    def check(evidence: Evidence) -> Finding:
        pairs = [
            pair
            for history in of(evidence)
            for p in periods(history)
            if (pair := _errors(history, p))
        ]
        if not pairs:
            return undecided("no evaluation lies wholly in a phase B")
        after, before = (float(np.median(values)) for values in zip(*pairs, strict=True))
        words = (
            f"train error {after:.2%} behind the transition (median of {len(pairs)} periods), "
            f"{before:.2%} in the evaluation around the peak"
        )
        if after <= NEAR_ZERO and not before > NEAR_ZERO:
            return undecided(f"it was near zero before, too: {words}")
        return holds_if(
            after <= NEAR_ZERO,
            words,
            after=after,
            before=before,
        )

    return check


def _errors(history: History, period: Period) -> tuple[float, float] | None:
    """Train error behind the transition A → B and around the peak; None where not evaluated."""
    table = history.source.epochs
    if "train_error" not in table or len(table) < 2:
        return None
    steps, error = table["step"].to_numpy(float), table["train_error"].to_numpy(float)
    inside = np.flatnonzero((steps[:-1] >= period.phase_b) & (steps[1:] <= period.phase_c)) + 1
    if len(inside) == 0 or not np.isfinite(error[inside[0]]):
        return None
    around = min(int(np.searchsorted(steps, period.phase_a, side="right")), len(steps) - 1)
    return float(error[inside[0]]), float(error[around])


def loss_first(of: Histories) -> Check:
    """The loss leaves its low level two steps or more before the norm turns, in most jumps."""

    def check(evidence: Evidence) -> Finding:
        events = [history.diagnosis.events for history in of(evidence)]
        lead = np.concatenate([(e["turn"] - e["start"]).to_numpy(float) for e in events])
        if len(lead) == 0:
            return undecided("no destabilisation")
        first = share(lead >= LEAD)
        return holds_if(
            first > 0.5,
            f"{LEAD} steps or more in {first:.0%} of {len(lead)} destabilisations, "
            f"{np.median(lead):.0f} in the median; one is the update itself",
            share=first,
        )

    return check


def jumps_far_above(of: Histories) -> Check:
    """Between start and recovery of every destabilisation the cosine distance exceeds 10 ηλ."""

    def check(evidence: Evidence) -> Finding:
        largest = [ratio for history in of(evidence) for ratio in _jump_sizes(history)]
        if not largest:
            return undecided("no destabilisation")
        return holds_if(
            min(largest) >= FAR_ABOVE,
            f"largest 1 − cos over ηλ: at least {min(largest):.3g}, median "
            f"{np.median(largest):.3g} of {len(largest)} destabilisations",
            smallest=min(largest),
        )

    return check


def _jump_sizes(history: History) -> list[float]:
    """The largest cosine distance of each destabilisation in units of ηλ."""
    events = history.diagnosis.events
    product = history.lr * history.weight_decay
    distance = history.columns["cosine_distance"]
    starts, ends = (history.rows_of(events[name].to_numpy()) for name in ("start", "recovery"))
    return [
        float(np.nanmax(distance[start : end + 1])) / product
        for start, end in zip(starts, ends, strict=True)
    ]


def length_of_b(history: History) -> float:
    """The median length of phase B in units of 1/(ηλ); NaN without a complete period."""
    unit = 1 / (history.lr * history.weight_decay)
    return median([(period.phase_c - period.phase_b) / unit for period in periods(history)])


def lowest_losses(history: History) -> float:
    """The median over periods of the lowest loss of phase B, mean over an epoch, nats."""
    loss = history.means["loss"]
    rows: list[Array] = [
        loss[rows_between(history, p.phase_b, p.phase_c)] for p in periods(history)
    ]
    return median([float(np.nanmin(values)) for values in rows if len(values)])


def of_label(label_of: Callable[[Evidence], str]) -> Histories:
    """All seeds of the label that ``label_of`` names."""
    return lambda evidence: evidence[label_of(evidence)]


def require_period(history: History) -> Period:
    """The period that is drawn.

    Raises:
        UserError: the run has none.
    """
    period = typical_period(history)
    if period is None:
        raise UserError(f"{history.label} has no complete period to look at")
    return period


def median(values: Sequence[float]) -> float:
    """The median; NaN of none."""
    return float(np.median(values)) if len(values) else float("nan")
