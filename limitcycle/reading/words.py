"""Every sentence about a run: what command line, report and watching say is said here.

`headline` fits into a table cell, `reason` is the clause behind the label, `whole` says all, a line
each: headline, numbers, forecast, spikes, advice, the line of code, remarks. Advice has its
sentences in `limitcycle.reading.advising`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import assert_never

import numpy as np

from limitcycle.reading.advice import Advice, rises_of
from limitcycle.reading.clock import Array
from limitcycle.reading.constants import MAX_DRIFT, PERIOD_SPREAD
from limitcycle.reading.digits import two_digits
from limitcycle.reading.findings import Findings
from limitcycle.reading.forecast import Forecast

_STILL = 5e-4  # a drift that would be said as 0.0 %
_NAMED: Mapping[str, str] = {
    "learning rate": "a learning rate that rose",
    "arithmetic": "wrong arithmetic",
    "optimizer": "the optimizer's state",
    "batch": "a bad batch",
    "second moment": "Adam's second moment",
    "effective learning rate": "the effective learning rate",
}


def whole(
    found: Findings,
    rotation: float,
    equilibrium_rotation: float,
    given: Advice,
    notes: Sequence[str],
) -> str:
    """All that there is to say, a line each.

    Args:
        found: in the table.
        rotation, equilibrium_rotation: of a watched run, radians a step; NaN where not known.
        given: the advice, with its sentences and its line of code.
        notes: what was changed, left out or assumed, and what could not be said.
    """
    lines = [
        f"{headline(found)}.",
        " ".join([*numbers(found), *turning(rotation, equilibrium_rotation)]),
        *_exceptional(found),
        *_next(found),
        *_spikes(found),
        *_causes(found),
        given.text,
        f"    {given.code}" if given.code else "",
        *(f"Note: {note}." for note in notes),
    ]
    return "\n".join(line for line in lines if line)


def headline(found: Findings) -> str:
    """A few words for a table cell."""
    if found.rest is None:
        return f"{found.label}: {reason(found)}"
    tail = ", one jump" if len(found.events) else ""
    match found.label:
        case "periodic":
            return f"periodic: {len(found.events)} jumps, one every {_interval(found)[0]}"
        case "equilibrium":
            return f"equilibrium: norm settled at loss {two_digits(found.rest.loss)}{tail}"
        case "stuck":
            return f"stuck at loss {two_digits(found.rest.loss)}"
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


def numbers(found: Findings) -> list[str]:
    """The numbers behind the headline, three at most."""
    match found.label:
        case "periodic":
            return _jumps(found)
        case "equilibrium" | "converging":
            return [f"Over the last half the norm {_moved(found)}."]
        case "stuck":
            return [f"{_never_low(found)}."]
        case "diverged" | "unknown":
            return []
        case _:
            assert_never(found.label)


def close_calls(found: Findings) -> list[str]:
    """Where a little more or less would have made another label."""
    said = []
    if found.label in ("equilibrium", "converging") and found.rest is not None and found.rest.close:
        said.append(
            "a close call: the norm's drift is near the limit between equilibrium and converging"
        )
    if found.descent is not None and not len(found.events) and found.descent.close:
        said.append("a close call: the loss lies hardly below that of the first rows")
    if found.nearly_periodic and found.label != "periodic":
        said.append("a close call: besides the one jump another rise of the norm is nearly one")
    if found.close:
        chance = "few enough to be chance" if found.wandering else "just enough not to be chance"
        said.append(f"a close call: of {found.turns:,} turns of the norm {chance} look like jumps")
    return said


def untold(found: Findings) -> list[str]:
    """That nobody said what loss is high, where that may matter."""
    descent = found.descent
    if descent is None:
        return []
    if found.label == "stuck" and math.isnan(descent.limit):
        return [
            "the table is compared with its own beginning: if it begins after the first descent, "
            "say with stuck_above (--stuck-above) what loss is high"
        ]
    if found.label not in ("equilibrium", "converging") or not descent.untold:
        return []
    if math.isnan(descent.start):
        return ["the table begins after its training, so whether the loss is high is not known"]
    return [
        "the loss came down by little, and what loss is high is not known, so this may be a run "
        "that is stuck: say with stuck_above (--stuck-above) what loss is high"
    ]


def changes(found: Findings) -> list[str]:
    """What looked like a jump and came from outside."""
    taken = {
        "level": "the loss rises and never comes back, so this is a change of its level",
        "data": "the loss rises within one step, so this is a change of data or of scale",
        "schedule": "the learning rate rises, so this is a change of schedule",
        "rise": "the loss rises and has not come back yet",
    }
    said = []
    for row in found.changes.itertuples():
        tail = "" if row.kind == "rise" else ", not a jump"
        said.append(f"at step {row.start:,} {taken[str(row.kind)]}{tail}")
    return said


def turning(rotation: float, equilibrium: float) -> list[str]:
    """How far the weights turn a step, against where theory lets the norm rest (radians)."""
    if math.isnan(rotation):
        return []
    text = f"The weights turn by {rotation:.2g} rad a step"
    if math.isnan(equilibrium):
        return [f"{text}."]
    relation = "below" if rotation < equilibrium else "above"
    return [f"{text}, {relation} the {equilibrium:.2g} rad at which the norm would rest."]


def _settling(found: Findings) -> str:
    if found.label == "stuck":
        return _never_low(found)
    return f"no period; over the last half the norm {_moved(found)}"


def _never_low(found: Findings) -> str:
    """What tells a run that is stuck."""
    descent = found.descent
    assert descent is not None
    if math.isnan(descent.limit):
        return (
            f"The loss is no lower than it was when training began: {descent.late:.3g} over the "
            f"last half, {descent.first:.3g} in the first rows"
        )
    return (
        f"The loss never came low: its lowest running median is {descent.lowest:.3g}, and above "
        f"{descent.limit:.2g} it is high"
    )


def _moved(found: Findings) -> str:
    """What the norm did over the last half."""
    rest = found.rest
    assert rest is not None
    verb = _direction(rest.drift)[1]
    text = f"{verb} by {abs(rest.drift):.1%}"
    if abs(rest.drift) < _STILL:
        text = "stood still"
    if rest.wanders and abs(rest.drift) >= MAX_DRIFT:
        return (
            f"wanders about one place (its highest value is {two_digits(rest.reach)} times its "
            f"lowest, a drift of {rest.drift:+.1%} small against that)"
        )
    if rest.free_decay:
        return f"{text}, weight decay alone would make it fall by {-rest.free_drift:.1%}"
    if found.label == "converging":
        return text
    return f"{text} and the median loss is {rest.loss:.3g}"


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


def _jumps(found: Findings) -> list[str]:
    events = found.events
    rise = (events["norm_top"] / events["norm_turn"]).to_numpy(float)
    recovery = float((events["recovery"] - events["peak"]).median())
    sentences = [
        f"A jump takes the loss to {_typical(events['loss_peak'].to_numpy(float))} and the norm up "
        f"{_typical(rise, '-fold')}; half of it is over after {_steps(recovery)}."
    ]
    return [*sentences, *_lock(found)]


def _typical(values: Array, each: str = "") -> str:
    """The median, or the quartiles where these are far apart; ``each`` stands behind a number."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], method="nearest")
    if low > 0 and high > PERIOD_SPREAD * low:
        return f"{two_digits(low)}{each} to {two_digits(high)}{each}"
    return f"{two_digits(middle)}{each}"


def _exceptional(found: Findings) -> list[str]:
    """What was seen besides, a sentence each."""
    if found.label == "periodic":
        if found.unfinished is None:
            return []
        return [f"A jump that began at step {found.unfinished:,} is under way."]
    if found.label in ("diverged", "unknown"):
        return []
    return [_sentence(each) for each in _exceptions(found)]


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


def _next(found: Findings) -> list[str]:
    """When the next jump is to be expected, or why nobody can know."""
    if found.label not in ("periodic", "converging", "equilibrium"):
        return []
    forecast = found.forecast
    if not math.isnan(forecast.median):
        return [f"{_alarm(forecast)}Next jump: {_range(forecast)}. {_sentence(forecast.reason)}"]
    falling = found.rest is not None and found.rest.drift < 0
    if len(found.events) or (found.label == "converging" and falling):
        return [f"No forecast: {forecast.reason}."]
    return []


def _alarm(forecast: Forecast) -> str:
    return "Alarm: a jump is about to begin. " if forecast.alarm else ""


def _range(forecast: Forecast) -> str:
    tried = "" if forecast.calibrated else ", if it is like those that were tried"
    return (
        f"in {forecast.low:,.0f} to {_steps(forecast.high)} eight times of ten{tried}, half "
        f"the time within {forecast.median:,.0f}"
    )


def _sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:]}."


def _spikes(found: Findings) -> list[str]:
    """Rises of the loss that were no jumps."""
    alone = found.spikes[~found.spikes["jump"].to_numpy(bool)]
    if alone.empty or found.label in ("diverged", "unknown"):
        return []
    last = int(alone["peak"].iloc[-1])
    if len(alone) == 1:
        return [f"One spike, at step {last:,}, did not throw the norm back, so it was no jump."]
    return [
        f"{len(alone):,} spikes, the last at step {last:,}, did not throw the norm back, so they "
        "were no jumps."
    ]


def _causes(found: Findings) -> list[str]:
    """Why the loss rose: which causes there were, and what shows that of the last rise."""
    if found.label in ("unknown", "stuck"):
        return []
    rises = rises_of(found)
    known = rises[rises["cause"] != "unknown"]
    if known.empty:
        return [] if rises.empty else [f"Cause unknown: {rises['evidence'].iloc[-1]}."]
    last = known.iloc[-1]
    counts = known["cause"].value_counts()
    named = [_NAMED[kind] for kind in counts.index]
    if len(counts) > 1:
        named = [f"{name} ({n:,})" for name, n in zip(named, counts, strict=True)]
    cause = "Cause" if len(counts) == 1 else "Causes"
    evidence = str(last["evidence"])
    return [f"{cause}: {', '.join(named)}. {evidence[0].upper()}{evidence[1:]}."]


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
