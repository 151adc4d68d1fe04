"""`diagnose`: from a table of a training run to what it does, as data."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from limitcycle.checks import finite, shown, whole
from limitcycle.dynamics import constants as c
from limitcycle.dynamics.columns import Array
from limitcycle.dynamics.events import Event, Found, find_events
from limitcycle.dynamics.lock import find_lock
from limitcycle.dynamics.rest import Rest, judge_rest
from limitcycle.dynamics.series import Hyper, Series, read_series
from limitcycle.dynamics.stages import consistent_event, phase_table, steps_to_jump
from limitcycle.dynamics.verdict import Label, Verdict
from limitcycle.errors import UserError


def diagnose(
    frame: pd.DataFrame | Mapping[str, Any],
    lr: Hyper = None,
    weight_decay: Hyper = None,
    *,
    momentum: Hyper = None,
    stuck_above: float | None = None,
    status: str | Mapping[str, Any] | None = None,
    train_size: int | None = None,
    batch_size: int | None = None,
) -> Verdict:
    """Destabilisations, periods and phases of a run, and what it does over all.

    *start* is the last step before the loss leaves its low level, *peak* the largest loss between
    start and recovery, *recovery* the first step after the peak at which the loss is back below
    the geometric mean of its values at start and peak. An event needs the norm to turn from
    falling to rising; the first descent and a bad batch that leaves the norm alone are none.

    Args:
        frame: columns ``step``, ``norm`` and ``loss`` (or ``train_loss``), in any order of rows,
            or a mapping of such columns; of rows with equal step the last wins, NaN means missing.
            ``epoch``, ``lr``, ``weight_decay``, ``momentum`` and ``effective_lr`` are used where
            they are there.
        lr, weight_decay: one number, or one a row; None takes the column of that name, if any.
        momentum: likewise; heavy-ball momentum in PyTorch's convention, with which the norm decays
            about 1/(1 − μ) times as fast. Without argument and column: none.
        stuck_above: a settled run with a larger loss is stuck; None means a tenth of the median
            of the first 1 % of rows (at least 3).
        status: ``"failed"`` or the content of ``status.json``, where the run's end is known.
        train_size, batch_size: to name the size of a batch that jumps follow.

    Raises:
        UserError: (a ValueError) ``frame`` is no table, a column is missing or holds no numbers,
            or an argument is outside its range.
    """
    _check_arguments(stuck_above, status, train_size, batch_size)
    series = read_series(frame, lr, weight_decay, momentum)
    found = find_events(series) if len(series) >= c.MIN_ROWS else Found((), None, 0, False)
    events = found.events
    rest = judge_rest(series, found, stuck_above)
    failure = _failure(series, status)
    consistent = consistent_event(series, events)
    first = 0 if consistent is None else events[consistent].start
    lock, lock_reason = find_lock(series, events, train_size, batch_size)
    steps, forecast_reason = steps_to_jump(series, events)
    return Verdict(
        label=_label(failure, rest, len(events)),
        events=_event_table(series, events),
        period=_period(series, events),
        phases=phase_table(series, events),
        consistent_from=None if consistent is None else int(series.step[first]),
        lock=lock,
        lock_reason=lock_reason,
        unfinished=None if found.unfinished is None else int(series.step[found.unfinished.start]),
        turns=found.turns,
        wandering=found.wandering,
        effective_lr=_range(series.effective_lr, first),
        steps_to_jump=steps,
        forecast_reason=forecast_reason,
        rest=rest,
        failure=failure,
        rows=series.given,
        usable_rows=len(series),
        last_step=int(series.step[-1]) if len(series) else None,
    )


def _check_arguments(stuck_above: Any, status: Any, train_size: Any, batch_size: Any) -> None:
    if stuck_above is not None and finite("stuck_above", stuck_above) < 0:
        raise UserError(f"stuck_above must be a loss of at least 0, not {shown(stuck_above)}")
    if not isinstance(status, str | Mapping | None):
        raise UserError(f"status must be a text or a mapping, not {shown(status)}")
    for name, size in (("train_size", train_size), ("batch_size", batch_size)):
        if size is not None:
            whole(name, size)


def _label(failure: str, rest: Rest | None, events: int) -> Label:
    if failure:
        return "diverged"
    if rest is None:
        return "unknown"
    return "periodic" if events >= 2 else rest.label


def _failure(series: Series, status: str | Mapping[str, Any] | None) -> str:
    """How the run diverged; empty if it did not. A full disk is a failure of another kind."""
    if series.broken_from is not None:
        return f"loss or norm are not finite from step {series.broken_from:,} on"
    if isinstance(status, Mapping):
        state, reason = str(status.get("state", "")), str(status.get("reason") or "")
    else:
        state, _, reason = (status or "").partition(":")
    reason = " ".join(reason.split())  # in one line, whatever it was
    of_this_kind = re.search(r"finite|\b(nan|inf)\b|diverg|overflow", reason.lower())
    if state.strip() != "failed" or (reason and not of_this_kind):
        return ""
    return f"the run failed: {reason}" if reason else "the run failed"


def _period(series: Series, events: Sequence[Event]) -> float:
    if len(events) < 2:
        return float("nan")
    return float(np.median(np.diff(series.step[[event.start for event in events]])))


def _range(values: Array | None, first: int) -> tuple[float, float]:
    kept = np.empty(0) if values is None else values[first:]
    kept = kept[np.isfinite(kept)]
    return (float(kept.min()), float(kept.max())) if kept.size else (float("nan"), float("nan"))


def _event_table(series: Series, events: Sequence[Event]) -> pd.DataFrame:
    rows = np.array(events, dtype=np.intp).reshape(-1, len(Event._fields))
    at = dict(zip(Event._fields, rows.T, strict=True))
    return pd.DataFrame(
        {
            **{name: series.step[row] for name, row in at.items()},
            "norm_turn": series.norm[at["turn"]],
            "norm_top": series.norm[at["top"]],
            "loss_start": series.loss[at["start"]],
            "loss_peak": series.loss[at["peak"]],
        }
    )
