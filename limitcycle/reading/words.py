"""Every sentence about a run: what command line, report and watching say is said here.

`headline` fits into a table cell, `reason` is the clause behind the label, `paragraph` tells all
that was found; `rounding` says what low precision leaves of weight decay, `advice` what to do, and
`whole` puts it together.
"""

import math
from collections.abc import Callable, Sequence
from typing import assert_never

import numpy as np

from limitcycle.reading.advice import Advice, AdviceKind
from limitcycle.reading.constants import MAX_DRIFT, PERIOD_SPREAD, SAME_LEVEL
from limitcycle.reading.decay import log_decay
from limitcycle.reading.findings import Findings
from limitcycle.reading.rounding import Rounding


def headline(found: Findings) -> str:
    """A few words for a table cell."""
    if found.rest is None:
        return f"{found.label}: {reason(found)}"
    tail = ", one jump" if len(found.events) else ""
    match found.label:
        case "periodic":
            return f"periodic: {len(found.events)} jumps, one every {_interval(found)[0]}"
        case "equilibrium":
            return f"equilibrium: norm settled at loss {found.rest.loss:.2g}{tail}"
        case "stuck":
            return f"stuck at loss {found.rest.loss:.2g}{tail}"
        case "converging":
            return f"converging: norm still {_direction(found.rest.drift)[0]}{tail}"
        case "diverged" | "unknown":
            return f"{found.label}: {reason(found)}"
        case _:
            assert_never(found.label)


def reason(found: Findings) -> str:
    """The clause behind the label, with its numbers."""
    match found.label:
        case "diverged":
            return found.failure
        case "unknown" if found.unjudged:
            return found.unjudged
        case "unknown":
            return f"{found.usable_rows} usable rows of {found.rows} are too few to tell"
        case "periodic":
            return (
                f"the norm turned from falling to rising in {len(found.events)} destabilisations, "
                "one every {} ({})".format(*_interval(found))
            )
        case "equilibrium" | "stuck" | "converging":
            return "; ".join([_settling(found), *_exceptions(found)])
        case _:
            assert_never(found.label)


def paragraph(found: Findings) -> str:
    """All that was found in a few sentences."""
    sentences = [f"{found.label.capitalize()}: {reason(found)}."]
    sentences += _yardstick(found)
    if len(found.events):
        sentences += [*_periods(found), *_lock(found), *_forecast(found)]
    if not math.isnan(found.effective_lr[0]):
        low, high = found.effective_lr
        when = " since warm-up" if found.consistent_from is not None else ""
        sentences.append(f"Effective learning rate{when}: {low:.2g} to {high:.2g}.")
    return " ".join(sentences)


def rounding(lost: Rounding, *, alone: bool = True) -> str:
    """What rounding leaves of weight decay, and what to do; empty where nothing is lost.

    Args:
        lost: what `limitcycle.reading.rounding.decay_rounding` returns.
        alone: decay has a rounding of its own (AdamW unless fused); else it is rounded together
            with the gradient step, which may carry it.
    """
    if not lost.share:
        return ""
    product = f"ηλ = {lost.product:.2g}"
    if lost.share == 1:
        text = (
            f"Weight decay rounds away in {lost.dtype}: {product} of a weight is less than half of "
            "the distance to the next smaller number, so that w·(1 − ηλ) is stored as w. "
            f"{_more_of_it(lost.all_up_to / lost.product)} (up to {lost.all_up_to:.2g})."
        )
    else:
        text = (
            f"Weight decay rounds away for {lost.share:.0%} of the weights in {lost.dtype}: "
            f"{product} of them is less than half of the distance to the next smaller number. "
            "The others it shrinks by less than a factor of two before they stand still, too."
        )
    if not alone:
        text += (
            " Rounded together with the gradient step it arrives where that step scatters by half "
            "of the distance or more, and is lost where it scatters by much less."
        )
    return f"{text} Hold the weights in float32 and compute in {lost.dtype} (autocast)."


def advice(given: Advice) -> str:
    """One advice in a sentence or two."""
    return _ADVICE[given.kind](given)


def code(given: Advice) -> str:
    """The line to copy; empty where nothing is to be typed."""
    return _HOLDING if given.kind in _HELD else ""


_HOLDING = "limitcycle.hold_norm(optimizer, symmetries)"
_HELD: tuple[AdviceKind, ...] = ("under-way", "approaching", "periodic", "stuck", "falling")
_HOLD = "hold the norm (limitcycle.hold_norm)"
WORTH_DIVIDING = 1.1  # times by which an effective learning rate has grown
_ADVICE: dict[AdviceKind, Callable[[Advice], str]] = {
    "diverged": lambda given: (
        "Go back to a checkpoint from before, with a lower learning rate or clipped gradients."
    ),
    "unjudged": lambda given: "",
    "too-early": lambda given: "Too early for advice: watch on.",
    "no-decay": lambda given: (
        "The norm cannot fall here: weight decay is 0. The effective learning rate only shrinks, "
        "and no jump of this kind is to be feared."
    ),
    "rounds-away": lambda given: rounding(given.lost, alone=False) if given.lost else "",
    "under-way": lambda given: (
        "A jump is under way: the norm is being thrown back and the loss will follow. "
        f"Not to have the next one, halve weight decay or {_HOLD} once the loss is back; held "
        "now, it would keep the loss where it is."
    ),
    "approaching": lambda given: (
        f"The effective learning rate grew {given.growth:.2g}-fold since step {given.since:,} "
        "while the loss stayed low; at the present decay it reaches the level of the last jump "
        f"{_when(given.steps)}: halve weight decay or {_hold(given)}. Half of it makes jumps half "
        "as frequent; holding ends them, but a norm that is held cannot calm a jump: hence the "
        "lower learning rate."
    ),
    "periodic": lambda given: (
        f"The jumps go on as long as weight decay shrinks the norm: {_hold(given)} to end them, or "
        "lower learning rate × weight decay to have them more seldom, in inverse proportion."
    ),
    "stuck": lambda given: (
        "The effective learning rate is too high to converge, and it is weight decay that keeps it "
        f"there: at rest it goes by the root of learning rate × weight decay{_of(given.product)}. "
        "A hundredth of either makes it about a tenth; a change by half is hardly seen. Jumps may "
        "follow then; a hundredth of the learning rate with the norm held (limitcycle.hold_norm) "
        "avoids these, too."
    ),
    "equilibrium": lambda given: (
        "Learning rate and weight decay act through their product now"
        f"{_of(given.product)}: the weights turn by about √(2 × that) rad a step, so ten times "
        "the weight decay is three times the turning, the same as ten times the learning rate."
    ),
    "falling": lambda given: (
        f"Weight decay is shrinking the norm and the effective learning rate grows{_tempo(given)}. "
        f"If the loss jumps later on, this is why: halve weight decay or {_HOLD}; the sooner it is "
        "held, the lower the effective learning rate stays."
    ),
    "rising": lambda given: (
        "The gradient makes the norm grow faster than weight decay shrinks it, so the effective "
        "learning rate falls by itself: count that in before you lower the learning rate."
    ),
}


def whole(
    found: Findings,
    rotation: float,
    equilibrium_rotation: float,
    text: str,
    notes: Sequence[str],
) -> str:
    """All that there is to say: what was found, how far the weights turn, the advice, notes.

    Args:
        found: in the table.
        rotation, equilibrium_rotation: of a watched run, radians a step; NaN where not known.
        text: of the advice.
        notes: what could not be said, and why.
    """
    sentences = [paragraph(found), *turning(rotation, equilibrium_rotation), text]
    return " ".join(filter(None, [*sentences, *(f"Note: {note}." for note in notes)]))


def turning(rotation: float, equilibrium: float) -> list[str]:
    """How far the weights turn a step, against where theory lets the norm rest (radians)."""
    if math.isnan(rotation):
        return []
    text = f"The weights turn by {rotation:.2g} rad a step"
    if math.isnan(equilibrium):
        return [f"{text}."]
    relation = "below" if rotation < equilibrium else "above"
    return [f"{text}, {relation} the {equilibrium:.2g} rad at which the norm would rest."]


def _hold(given: Advice) -> str:
    """How to hold the norm: at the lowest effective learning rate since the last jump."""
    if not given.growth > WORTH_DIVIDING:
        return _HOLD
    return f"{_HOLD} with the learning rate divided by {given.growth:.2g}"


def _when(steps: float) -> str:
    return "now" if steps < 1 else f"in about {_steps(steps)}"


def _of(product: float) -> str:
    return "" if math.isnan(product) else f" ({product:.2g})"


def _tempo(given: Advice) -> str:
    """How fast decay alone makes the effective learning rate grow."""
    decay = log_decay(given.product, given.momentum)
    if not decay < 0:
        return ""
    return f", at most e-fold in {_steps(-1 / (2 * decay))}"


def _more_of_it(factor: float) -> str:
    if factor < 2:
        return "A little more would change nothing"
    return f"{math.floor(factor):,} times as much would change nothing"


def _settling(found: Findings) -> str:
    rest = found.rest
    assert rest is not None
    verb = _direction(rest.drift)[1]
    text = f"no period; over the last half the norm {verb} by {abs(rest.drift):.1%}"
    if rest.wanders and abs(rest.drift) >= MAX_DRIFT:
        text = (
            "no period; over the last half the norm wanders about one place (its highest value is "
            f"{rest.reach:.2g} times its lowest, a drift of {rest.drift:+.1%} small against that)"
        )
    if rest.free_decay:
        return f"{text}, weight decay alone would make it fall by {-rest.free_drift:.1%}"
    if found.label == "converging":
        return text
    relation = "more" if rest.loss > rest.limit else "not more"
    return f"{text} and the median loss is {rest.loss:.3g}, {relation} than {rest.limit:.3g}"


def _yardstick(found: Findings) -> list[str]:
    """A doubt: was the descent, whose beginning says what loss is high, seen at all?"""
    rest = found.rest
    if found.label != "stuck" or rest is None or not rest.loss * SAME_LEVEL > rest.first_loss:
        return []
    return [
        f"The first rows have about this loss, too ({rest.first_loss:.3g}): if the table begins "
        "after the first descent, say with stuck_above what loss is high."
    ]


def _exceptions(found: Findings) -> list[str]:
    """What was seen besides and does not make a period."""
    seen = []
    if found.wandering:
        seen.append(f"most of the norm's {found.turns:,} turns upwards came without a jump")
    if len(found.events):
        start = int(found.events["start"].iloc[0])
        seen.append(f"one destabilisation, at step {start:,}, does not make a period")
    if found.unfinished is not None:
        step = f"{found.unfinished:,}"
        seen.append(f"the loss left its low level at step {step} and has not come back")
    return seen


def _periods(found: Findings) -> list[str]:
    events = found.events
    rise = (events["norm_top"] / events["norm_turn"]).median()
    recovery = (events["recovery"] - events["peak"]).median()
    sentences = [
        f"A jump raises the loss from {events['loss_start'].median():.2g} to "
        f"{events['loss_peak'].median():.2g} and the norm {rise:.2f}-fold; the loss is half way "
        f"back, on a logarithmic scale, after {_steps(recovery)} (medians)."
    ]
    if found.consistent_from is not None:
        warm_up = int((events["start"] < found.consistent_from).sum())
        sentences.append(
            f"The consistent stage begins at step {found.consistent_from:,}, "
            f"after {warm_up or 'no'} jump{'' if warm_up == 1 else 's'} of the warm-up."
        )
    if found.unfinished is not None and found.label == "periodic":
        sentences.append(f"A jump that began at step {found.unfinished:,} is under way.")
    return sentences


def _lock(found: Findings) -> list[str]:
    lock = found.lock
    if lock is None:
        return []
    size = "" if lock.batch_size is None else f", of size {lock.batch_size}"
    return [
        f"{lock.hits} of {lock.jumps} jumps follow the same batch{size}: look at that batch "
        f"(number {lock.position + 1} of {lock.batches} in the epoch; "
        f"by chance {lock.chance:.0e})."
    ]


def _forecast(found: Findings) -> list[str]:
    if math.isnan(found.forecast.median):
        return [f"No forecast: {found.forecast.reason}."]
    if found.forecast.median < 1:
        return ["The norm is below where the last jump began: the next one is due."]
    return [
        "At the rate of weight decay the norm is back where the last jump began in "
        f"{_steps(found.forecast.median)}."
    ]


def _interval(found: Findings) -> tuple[str, str]:
    """How far apart jumps come, and what is meant by it: the median, or quartiles far apart."""
    between = np.diff(found.events["start"].to_numpy(float))
    low, high = np.quantile(between, [0.25, 0.75], method="nearest")
    if high <= PERIOD_SPREAD * low:
        return _steps(found.period), "median"
    return f"{low:,.0f} to {_steps(high)}", f"quartiles; median {found.period:,.0f}"


def _direction(drift: float) -> tuple[str, str]:
    return ("rising", "rose") if drift > 0 else ("falling", "fell")


def _steps(count: float) -> str:
    return f"{count:,.0f} step{'' if round(count) == 1 else 's'}"
