"""From a verdict to one advice that follows from its numbers, as data; its sentence is in `words`.

What can be advised rests on four facts. Weight decay alone shrinks the norm by 1 − ηλ a step, so
the way to a level seen before can be reckoned (Eq. 3). At rest the effective learning rate is
√(2ηλ)/g̃ (Eq. 7), so learning rate and weight decay act through their product, and by its root.
Without weight decay, or where it rounds away, the norm cannot fall (Eq. 3). A norm that is held can
neither fall nor be thrown back: what jumps then stays up, so the effective learning rate it is held
at has to be one at which training was calm (``benchmarks/advice.py``).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from limitcycle.reading.rounding import Rounding
from limitcycle.reading.verdict import Verdict

Kind = Literal[
    "diverged",
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
]
GROWN = 2.0  # a factor of the effective learning rate worth speaking of


@dataclass(frozen=True)
class Advice:
    """What to do, and the numbers that it follows from.

    Attributes:
        kind: what is advised upon.
        growth: factor by which the effective learning rate grew since step ``since``; NaN where it
            is not known.
        since: the step of its lowest value after the last jump, or in the whole run.
        steps: to the level of the last jump, by weight decay alone; NaN where that cannot be said.
        product: ηλ, the last one known; NaN if none is.
        momentum: heavy-ball momentum, 0 where none is known.
        lost: what rounding leaves of weight decay, the worst type; None where it loses nothing.
    """

    kind: Kind
    growth: float = math.nan
    since: int = 0
    steps: float = math.nan
    product: float = math.nan
    momentum: float = 0.0
    lost: Rounding | None = field(default=None)


def advise(verdict: Verdict, steps: pd.DataFrame, lost: Sequence[Rounding] = ()) -> Advice:
    """The advice that fits ``verdict``.

    Args:
        verdict: of `limitcycle.diagnose` on ``steps``.
        steps: the step table; ``effective_lr``, ``lr``, ``weight_decay`` and ``momentum`` are used
            where they are there.
        lost: what rounding leaves of weight decay, for each type of the weights.
    """
    growth, since = _growth(verdict, steps)
    lr, weight_decay = _last(steps, "lr"), _last(steps, "weight_decay")
    momentum = _last(steps, "momentum")
    worst = max(lost, key=lambda each: each.share, default=None)
    return Advice(
        kind=_kind(verdict, growth, weight_decay, worst),
        growth=growth,
        since=since,
        steps=verdict.steps_to_jump,
        product=lr * weight_decay,
        momentum=0.0 if math.isnan(momentum) else momentum,
        lost=worst if worst is not None and worst.share else None,
    )


def _kind(verdict: Verdict, growth: float, weight_decay: float, lost: Rounding | None) -> Kind:
    if verdict.label == "diverged":
        return "diverged"
    if verdict.label == "unknown" or verdict.rest is None:
        return "too-early"
    if weight_decay == 0:
        return "no-decay"
    if lost is not None and lost.share > 0.5:
        return "rounds-away"
    if verdict.unfinished is not None:
        return "under-way"
    if verdict.steps_to_jump >= 0 and growth > GROWN:
        return "approaching"
    if verdict.label == "converging":
        return "falling" if verdict.rest.drift < 0 else "rising"
    return verdict.label


def _growth(verdict: Verdict, steps: pd.DataFrame) -> tuple[float, int]:
    """By how much the effective learning rate grew since its last low point, and when that was."""
    if "effective_lr" not in steps or steps.empty:
        return math.nan, 0
    values, at = steps["effective_lr"].to_numpy(float), steps["step"].to_numpy()
    first = int(verdict.events["recovery"].iloc[-1]) if len(verdict.events) else at[0]
    inside = np.flatnonzero((at >= first) & np.isfinite(values))
    if not inside.size:
        return math.nan, 0
    lowest = inside[int(np.argmin(values[inside]))]
    return float(values[inside[-1]] / values[lowest]), int(at[lowest])


def _last(steps: pd.DataFrame, name: str) -> float:
    found = steps[name].dropna() if name in steps else steps.iloc[:0, 0]
    return float(found.iloc[-1]) if len(found) else math.nan
