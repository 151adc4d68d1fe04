"""What Figures 3 and 10 measure on the periods of a run: order, errors, losses, jumps."""

from collections.abc import Callable, Sequence

import numpy as np

from limitcycle.errors import UserError
from limitcycle.paper.claim import Finding, holds_if, undecided
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.questions.reading import consistent, low_and_high, share
from limitcycle.reading.clock import Array, Rows
from limitcycle.reading.history import History
from limitcycle.reading.period import Period, periods, typical_period

Check = Callable[[Evidence], Finding]
Histories = Callable[[Evidence], Sequence[History]]

ROWS_OF_A_PHASE = 20  # fewer tell nothing of its course
NEAR_ZERO = 0.05
AT_MOST = 10  # steps between the transition and the evaluation that stands for it
NEAR_ZERO_REFUTED = (
    "the train error where the norm is largest, between A and B, is above 5 % (a pass over the "
    "training set every ten steps, the one next to that step; median over periods)"
)
MOST = 0.9  # of the periods
GROWS = 3.0  # factor by which g̃ grows in C, and falls behind the peak
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
    """The loop of the phase diagram is run through as the paper draws it.

    That the norm rises in A and falls in B is how these phases are found, and says nothing; the
    effective gradient has no part in that.
    """

    def check(evidence: Evidence) -> Finding:
        found = [_in_order(history, p) for history in of(evidence) for p in long_periods(history)]
        if not found:
            return undecided("no complete period")
        return holds_if(
            share(found) >= MOST,
            "",
            ours={
                "share of periods": share(found),
                "periods": float(len(found)),
                **_ranges(of(evidence)[0]),
            },
            share=share(found),
        )

    return check


def _ranges(history: History) -> dict[str, float]:
    """The ends of the loop in the phase diagram (consistent stage, means over an epoch)."""
    named = {"η/ρ²": "effective_lr", "g̃": "effective_grad_norm"}
    ends = {}
    for symbol, column in named.items():
        values = history.means.get(column, history.columns[column])[consistent(history)]
        ends[f"{symbol} from"], ends[f"{symbol} to"] = low_and_high(values)
    return ends


def _in_order(history: History, period: Period) -> bool:
    """Whether g̃ is threefold lower in B than at its largest in A, and grows threefold in C."""
    gradient = history.means["effective_grad_norm"]
    start, top, leave, end = history.rows_of(
        [period.phase_a, period.phase_b, period.phase_c, period.end]
    )
    if not start < top < leave < end:
        return False
    single = history.columns["effective_grad_norm"]
    grows = single[leave + 1 : end + 1].max() >= GROWS * gradient[leave]
    lower = gradient[rows_between(history, period.phase_b, period.phase_c)]
    falls = float(np.nanmedian(lower)) * GROWS <= single[start : top + 1].max()
    return bool(grows and falls)


def near_zero_error(of: Histories) -> Check:
    """Where the norm is largest, between A and B, the train error is near zero.

    It is measured there: by the evaluation next to that step, which may lie no further from it
    than evaluations lie apart.
    """

    def check(evidence: Evidence) -> Finding:
        found = [
            error
            for history in of(evidence)
            for period in periods(history)
            if np.isfinite(error := error_at(history, period.phase_b))
        ]
        if not found:
            return undecided("no evaluation at a transition from A to B")
        at_peak = [
            error_at(history, period.phase_a)
            for history in of(evidence)
            for period in periods(history)
        ]
        after, peak = float(np.median(found)), median([e for e in at_peak if np.isfinite(e)])
        return holds_if(
            after <= NEAR_ZERO,
            "",
            ours={
                "train error at A → B": after,
                "at the peak before": peak,
                "largest at A → B": max(found),
                "periods": float(len(found)),
            },
            cause="the norm is largest as soon as steps turn the weights by less than √(2ηλ), long "
            "before the images are learnt again",
            after=after,
        )

    return check


def error_at(history: History, step: float) -> float:
    """The train error measured next to ``step``; NaN where none was measured near it."""
    table = history.source.epochs
    if "train_error" not in table or len(table) < 2:
        return float("nan")
    steps, error = table["step"].to_numpy(float), table["train_error"].to_numpy(float)
    nearest = int(np.argmin(np.abs(steps - step)))
    near = abs(steps[nearest] - step) <= AT_MOST
    return float(error[nearest]) if near else float("nan")


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
            "",
            ours={
                f"share that leads by {LEAD} steps or more": first,
                "steps": float(np.median(lead)),
                "destabilisations": float(len(lead)),
            },
            share=first,
        )

    return check


def jumps_stand_out(of: Histories) -> Check:
    """In most destabilisations a step turns the weights further than any of the quiet phase.

    That a step exceeds ηλ where the norm grows is Eq. (3) and says nothing.
    """

    def check(evidence: Evidence) -> Finding:
        ratios = [
            ratio
            for history in of(evidence)
            for period in long_periods(history)
            if np.isfinite(ratio := _stands_out(history, period))
        ]
        if not ratios:
            return undecided("no destabilisation behind a quiet phase")
        found = share(ratio > 1 for ratio in ratios)
        return holds_if(
            found >= MOST,
            "",
            ours={"largest step over the largest of phase B": median(ratios), "share": found},
            share=found,
        )

    return check


def _stands_out(history: History, period: Period) -> float:
    """The largest cosine distance of phase C over the largest of the phase B before it."""
    distance = history.columns["cosine_distance"]
    quiet = distance[rows_between(history, period.phase_b, period.phase_c)]
    jump = distance[rows_between(history, period.phase_c, period.end + 1)]
    if not (np.isfinite(quiet).any() and np.isfinite(jump).any()):
        return float("nan")
    return float(np.nanmax(jump) / np.nanmax(quiet))


def small_jumps(of: Histories) -> Check:
    """Some destabilisations begin with steps too small to make the norm grow."""

    def check(evidence: Evidence) -> Finding:
        every = [_below_product(h, period) for h in of(evidence) for period in long_periods(h)]
        shares = [each for each in every if np.isfinite(each)]
        if not shares:
            return undecided("no destabilisation behind a quiet phase")
        return holds_if(
            any(each < 1 for each in shares),
            "",
            ours={
                "largest step over ηλ before the loss has left": median(shares),
                "smallest of these": min(shares),
            },
            largest=shares,
        )

    return check


def _below_product(history: History, period: Period) -> float:
    """The largest cosine distance, over ηλ, of the last tenth of phase B."""
    rows = rows_between(history, period.phase_b, period.phase_c)
    late = history.columns["cosine_distance"][rows[-max(len(rows) // 10, 1) :]]
    if not np.isfinite(late).any():
        return float("nan")
    return float(np.nanmax(late)) / (history.lr * history.weight_decay)


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
