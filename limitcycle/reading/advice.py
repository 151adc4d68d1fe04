"""From findings to one advice that follows from their numbers, as data; its text is in `words`.

What can be advised rests on five facts. Weight decay alone shrinks the norm by 1 − ηλ a step, so
the way to a level seen before can be reckoned (Eq. 3). At rest the effective learning rate is
√(2ηλ)/g̃ (Eq. 7), so learning rate and weight decay act through their product, and by its root.
Without weight decay, or where it rounds away, the norm cannot fall (Eq. 3). A norm that is held can
neither fall nor be thrown back: what jumps then stays up, so the effective learning rate it is held
at has to be one at which training was calm (``benchmarks/advice.py``). Where a jump is behind the
run, the effective learning rate that it began at is known, and one that is kept below two thirds of
it hardly jumps any more (``benchmarks/remedies.py``).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from limitcycle.errors import UserError
from limitcycle.reading import constants as c
from limitcycle.reading.causes import CauseKind
from limitcycle.reading.decay import log_decay
from limitcycle.reading.findings import Findings
from limitcycle.reading.forecast import SCHEDULED_OUT
from limitcycle.reading.rounding import Rounding, decay_rounding

AdviceKind = Literal[
    "diverged",
    "unjudged",
    "too-early",
    "no-decay",
    "rounds-away",
    "under-way",
    "approaching",
    "periodic",
    "stuck",
    "equilibrium",
    "falling",
    "rising",
    "over",
    "broken",
    "spiked",
    "held",
    "held-high",
    "scheduled",
    "slow",
]
GROWN = 2.0  # a factor of the effective learning rate worth speaking of
HELD = 1 + c.HELD_REACH  # largest over smallest norm, where something holds it
CLEAR_DECAY = 0.01  # ... though weight decay alone would make it fall by more than this
CAPPED: tuple[AdviceKind, ...] = ("under-way", "approaching", "periodic", "falling")
SLOW = 10.0  # lengths of the run in which decay makes the effective rate e-fold: too slow to matter


@dataclass(frozen=True)
class Advice:
    """What to do, and the numbers that it follows from.

    Attributes:
        kind: what is advised upon.
        growth: factor by which the effective learning rate grew since step ``since``, below 1 where
            a schedule made it fall; NaN where it is not known.
        since: the step of its lowest value after the last jump, or in the whole run; where a
            schedule made it fall, half the way.
        product: ηλ, the last one known; NaN if none is.
        tempo: steps in which weight decay alone makes the effective learning rate e-fold; NaN
            where it does not.
        cap: effective learning rate at which it should be held, at most; NaN where that is not
            advised.
        halve: half the weight decay makes jumps fewer; not seen where updates are normalised.
        lost: what rounding leaves of weight decay, the worst type; None where it loses nothing.
        step: the step at which the loss rose last; -1 where it did not.
        cause: why it rose then.
        text: the advice in a sentence or two.
        code: a line to copy; empty where none is advised.
    """

    kind: AdviceKind
    growth: float = math.nan
    since: int = 0
    product: float = math.nan
    tempo: float = math.nan
    cap: float = math.nan
    halve: bool = True
    lost: Rounding | None = field(default=None)
    step: int = -1
    cause: CauseKind = "unknown"
    text: str = ""
    code: str = ""


def advise(
    found: Findings,
    steps: pd.DataFrame,
    lost: Sequence[Rounding] = (),
    steps_an_update: float = 1.0,
    *,
    can_cap: bool = False,
    normalised: bool = False,
) -> Advice:
    """The advice that fits ``found``, without its words.

    Args:
        found: by `limitcycle.reading.judge` in ``steps``.
        steps: the table in order, of `limitcycle.reading.series`; ``effective_lr``, ``lr``,
            ``weight_decay`` and ``momentum`` are used where they are there.
        lost: what rounding leaves of weight decay, for each type of the weights.
        steps_an_update: how much the step counts on in one update.
        can_cap: `limitcycle.hold_effective_lr` takes this optimizer, and the norm in ``steps`` is
            that of all scale-invariant weights. Tried it was without momentum.
        normalised: the length of the optimizer's steps does not depend on the gradient's.
    """
    growth, since = _growth(found, steps)
    fall, half_way = _fall_by_schedule(steps)
    lr, weight_decay = _last(steps, "lr"), _last(steps, "weight_decay")
    momentum = _last(steps, "momentum")
    worst = max(lost, key=lambda each: each.share, default=None)
    last = last_rise(found)
    tempo = _tempo(lr * weight_decay, momentum) * steps_an_update
    kind = _kind(found, growth, weight_decay, worst, last)
    if kind == "falling" and fall < 1:
        kind, growth, since = "scheduled", fall, half_way
    elif kind == "falling" and tempo > SLOW * (steps["step"].iloc[-1] - steps["step"].iloc[0]):
        kind = "slow"
    return Advice(
        kind=kind,
        growth=growth,
        since=since,
        product=lr * weight_decay,
        tempo=tempo,
        cap=cap_of(found, steps) if can_cap and momentum == 0 and kind in CAPPED else math.nan,
        halve=not normalised,
        lost=worst if worst is not None and worst.share else None,
        step=last.step,
        cause=last.cause,
    )


class LastRise(NamedTuple):
    """The last time the loss rose: at which step, why, and whether it came back."""

    step: int
    cause: CauseKind
    came_back: bool


def rises_of(found: Findings) -> pd.DataFrame:
    """Every rise of the loss once, in order: jumps, other spikes, and what has not come back.

    Columns ``start``, ``cause``, ``evidence``, and ``back``, whether it came back.
    """
    alone = found.spikes[~found.spikes["jump"].to_numpy(bool)]
    outside = found.changes["kind"].isin(["data", "schedule"])
    parts = [found.events.assign(back=True), alone.assign(back=True)]
    parts.append(found.changes.assign(back=outside))
    columns = ["start", "cause", "evidence", "back"]
    some = [part[columns] for part in parts if len(part)] or [parts[0][columns]]
    return pd.concat(some).sort_values("start", ignore_index=True)


def last_rise(found: Findings) -> LastRise:
    """The last of `rises_of`; at step -1 where the loss never rose."""
    rises = rises_of(found)
    if rises.empty:
        return LastRise(-1, "unknown", came_back=True)
    last = rises.iloc[-1]
    return LastRise(int(last["start"]), last["cause"], came_back=bool(last["back"]))


def _kind(
    found: Findings, growth: float, weight_decay: float, lost: Rounding | None, last: LastRise
) -> AdviceKind:
    if found.label == "diverged":
        return "diverged"
    if found.unjudged:
        return "unjudged"
    if found.label == "unknown" or found.rest is None:
        return "too-early"
    from_within = last.cause in ("effective learning rate", "unknown")
    if not last.came_back:
        recent = (found.changes["kind"] == "rise").any()
        return "under-way" if recent and from_within else "broken"
    if found.label != "periodic" and not from_within:
        return "spiked"
    if weight_decay == 0:
        return "no-decay"
    if lost is not None and lost.share > 0.5:
        return "rounds-away"
    if found.rest.held or (found.rest.reach < HELD and found.rest.free_drift < -CLEAR_DECAY):
        return "held-high" if found.label == "stuck" else "held"
    if found.forecast.reason == SCHEDULED_OUT:
        return "over"
    if found.unfinished is not None:
        return "under-way"
    if found.forecast.median >= 0 and growth > GROWN:
        return "approaching"
    if found.label == "converging":
        return "falling" if found.rest.drift < 0 else "rising"
    return found.label


def _growth(found: Findings, steps: pd.DataFrame) -> tuple[float, int]:
    """By how much the effective learning rate grew since its last low point, and when that was."""
    if "effective_lr" not in steps or steps.empty:
        return math.nan, 0
    values, at = steps["effective_lr"].to_numpy(float), steps["step"].to_numpy()
    first = found.events["recovery"].iloc[-1] if len(found.events) else at[0]
    inside = np.flatnonzero((at >= first) & np.isfinite(values) & (values > 0))
    if not inside.size:
        return math.nan, 0
    lowest = inside[int(np.argmin(values[inside]))]
    with np.errstate(over="ignore"):
        return float(values[inside[-1]] / values[lowest]), int(at[lowest])


def cap_of(found: Findings, steps: pd.DataFrame) -> float:
    """A share of the lowest effective learning rate at which a jump began; NaN without one.

    Jumps of another cause tell nothing of it.
    """
    if "effective_lr" not in steps:
        return math.nan
    jumps = found.events[found.events["cause"] == "effective learning rate"]
    starts = list(jumps["start"].tail(c.CAP_JUMPS))
    if not starts and found.unfinished is not None:
        starts = [found.unfinished]
    levels = steps.loc[steps["step"].isin(starts), "effective_lr"].to_numpy(float)
    levels = levels[np.isfinite(levels) & (levels > 0)]
    return c.CAP_SHARE * float(levels.min()) if levels.size else math.nan


def _fall_by_schedule(steps: pd.DataFrame) -> tuple[float, int]:
    """What a falling learning rate made of the effective one over the last half; 1 without one.

    Second comes the step half the way.
    """
    if "lr" not in steps or "effective_lr" not in steps or len(steps) < 2:
        return 1.0, 0
    half = len(steps) // 2
    rates, effective = (steps[name].to_numpy(float)[half:] for name in ("lr", "effective_lr"))
    with np.errstate(all="ignore"):
        fall = float(effective[-1] / effective[0])
    if not (rates[-1] < rates[0] and fall < 1):
        return 1.0, 0
    return fall, int(steps["step"].iloc[half])


def _tempo(product: float, momentum: float) -> float:
    """Updates in which weight decay alone makes the effective learning rate e-fold."""
    decay = log_decay(product, 0.0 if math.isnan(momentum) else momentum)
    return -1 / (2 * decay) if decay < 0 else math.nan


def _last(steps: pd.DataFrame, name: str) -> float:
    known = steps[name].dropna() if name in steps else steps.iloc[:0, 0]
    return float(known.iloc[-1]) if len(known) else math.nan


def rounded_away(steps: pd.DataFrame, dtypes: Mapping[str, int]) -> list[Rounding]:
    """What rounding leaves of the latest weight decay, for the types that most weights have.

    Args:
        steps: the table in order.
        dtypes: number of weights by type.
    """
    total, product = sum(dtypes.values()), _last_product(steps)
    found = []
    for dtype, count in dtypes.items():
        if 2 * count >= total and 0 < product < 1:
            try:
                found.append(decay_rounding(dtype, product))
            except UserError:  # a type that nothing is known of
                continue
    return found


def _last_product(steps: pd.DataFrame) -> float:
    if "lr" not in steps or "weight_decay" not in steps:
        return math.nan
    known = (steps["lr"] * steps["weight_decay"]).dropna()
    return float(known.iloc[-1]) if len(known) else math.nan
