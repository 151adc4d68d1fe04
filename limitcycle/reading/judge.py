"""From a table of a training run, and what is known besides, to what it does: as data."""

import re
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from limitcycle.errors import UserError
from limitcycle.reading import constants as c
from limitcycle.reading.columns import Array
from limitcycle.reading.data import RunData
from limitcycle.reading.events import Event, Found, find_events
from limitcycle.reading.findings import Findings
from limitcycle.reading.forecast import forecast
from limitcycle.reading.labels import Label
from limitcycle.reading.lock import find_lock
from limitcycle.reading.rest import Rest, judge_rest
from limitcycle.reading.series import Series
from limitcycle.reading.stages import consistent_event, phase_table


def judge(series: Series, data: RunData) -> Findings:
    """Destabilisations, periods and phases of a run, and what it does over all.

    *start* is the last step before the loss leaves its low level, *peak* the largest loss between
    start and recovery, *recovery* the first step after the peak at which the loss is back below
    the geometric mean of its values at start and peak. An event needs the norm to turn from
    falling to rising; the first descent and a bad batch that leaves the norm alone are none.

    Args:
        series: the usable rows.
        data: what is known besides; its settings are those of ``series`` already.

    Raises:
        UserError: ``stuck_above`` is no loss.
    """
    _check_level(data.stuck_above)
    found = find_events(series) if len(series) >= c.MIN_ROWS else Found((), None, 0, False)
    events = found.events
    rest = judge_rest(series, found, data.stuck_above)
    failure = _failure(series, data.status)
    consistent = consistent_event(series, events)
    first = 0 if consistent is None else events[consistent].start
    lock, lock_reason = find_lock(series, events, data.train_size, data.batch_size)
    return Findings(
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
        forecast=forecast(series, events),
        rest=rest,
        failure=failure,
        rows=series.given,
        usable_rows=len(series),
        last_step=int(series.step[-1]) if len(series) else None,
    )


def _check_level(stuck_above: Any) -> None:
    number = isinstance(stuck_above, Real) and not isinstance(stuck_above, bool)
    if stuck_above is not None and not (number and stuck_above >= 0):
        raise UserError(f"stuck_above must be a loss of at least 0, not {stuck_above!r}")


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
    reason = reason.strip()
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
