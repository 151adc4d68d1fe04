"""From a table of a training run, and what is known besides, to what it does: as data."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from limitcycle.checks import finite, shown, whole
from limitcycle.errors import UserError
from limitcycle.reading import constants as c
from limitcycle.reading.causes import Cause, cause_of
from limitcycle.reading.columns import Array
from limitcycle.reading.data import RunData
from limitcycle.reading.descent import Descent, descent_of
from limitcycle.reading.events import Event, Found, find_events
from limitcycle.reading.findings import Findings
from limitcycle.reading.forecast import forecast, withheld
from limitcycle.reading.labels import Label
from limitcycle.reading.level import level_rows, running_level
from limitcycle.reading.lock import find_lock
from limitcycle.reading.rest import Rest, judge_rest
from limitcycle.reading.series import Series
from limitcycle.reading.spikes import Rises, Spike, find_spikes
from limitcycle.reading.stages import consistent_event, phase_table


def judge(series: Series, data: RunData) -> Findings:
    """Destabilisations, periods and phases of a run, and what it does over all.

    Args:
        series: the usable rows.
        data: what is known besides; its settings are those of ``series`` already.

    Raises:
        UserError: what is known besides cannot be.
    """
    _check_arguments(data)
    found, rises, rest, descent = Found((), None, 0, 1.0), Rises([], []), None, None
    if len(series) >= c.MIN_ROWS and not data.unjudged:
        level = running_level(series.loss)
        found = find_events(series)
        rises = find_spikes(series.loss, level)
        rest = judge_rest(series, found)
        descent = descent_of(series, level, data.stuck_above)
    events = found.events
    spikes = _spike_table(series, rises.spikes, found)
    changes = _changes(series, found, rises.lasting)
    failure = _failure(series, data.status)
    consistent = consistent_event(series, events)
    first = 0 if consistent is None else events[consistent].start
    lock, lock_reason = find_lock(series, events, data.train_size, data.batch_size)
    return Findings(
        label="diverged" if failure else _label(found, rises, rest, descent),
        events=_with_causes(
            series, _event_table(series, events), events, np.ones(len(events), bool)
        ),
        spikes=_with_causes(series, spikes, rises.spikes, spikes["jump"].to_numpy(bool)),
        period=_period(series, events),
        phases=phase_table(series, events),
        consistent_from=None if consistent is None else int(series.step[first]),
        lock=lock,
        lock_reason=lock_reason,
        unfinished=None if found.unfinished is None else int(series.step[found.unfinished.start]),
        turns=found.turns,
        wandering=found.wandering,
        close=found.close,
        nearly_periodic=found.nearly_periodic,
        changes=changes,
        effective_lr=_range(None if data.unjudged else series.effective_lr, first),
        forecast=withheld(failure) if failure else forecast(series, found, data),
        rest=rest,
        descent=descent,
        failure=failure,
        rows=series.given,
        usable_rows=len(series),
        last_step=int(series.step[-1]) if len(series) else None,
        unjudged=data.unjudged,
    )


def _check_arguments(data: RunData) -> None:
    if data.stuck_above is not None and finite("stuck_above", data.stuck_above) < 0:
        text = f"stuck_above must be a loss of at least 0, not {shown(data.stuck_above)}"
        raise UserError(text)
    status: Any = data.status
    if not isinstance(status, str | Mapping | None):
        raise UserError(f"status must be a text or a mapping, not {shown(status)}")
    for name, size in (("train_size", data.train_size), ("batch_size", data.batch_size)):
        if size is not None:
            whole(name, size)


def _label(found: Found, rises: Rises, rest: Rest | None, descent: Descent | None) -> Label:
    """What a run does that has not diverged."""
    if rest is None or descent is None:
        return "unknown"
    if len(found.events) >= 2:
        return "periodic"
    calm = not (found.with_unfinished or rises.spikes or rises.lasting)
    if calm and descent.never:
        return "stuck"
    return "equilibrium" if rest.settled else "converging"


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
    at = {
        name: np.array([getattr(event, name) for event in events], dtype=np.intp)
        for name in ("start", "peak", "recovery", "turn", "top")
    }
    return pd.DataFrame(
        {
            **{name: series.step[row] for name, row in at.items()},
            "norm_turn": series.norm[at["turn"]],
            "norm_top": series.norm[at["top"]],
            "loss_start": series.loss[at["start"]],
            "loss_peak": series.loss[at["peak"]],
            "low": np.array([event.low for event in events], dtype=np.float64),
            "noise": np.array([event.noise for event in events], dtype=np.float64),
        }
    )


def _spike_table(series: Series, spikes: Sequence[Spike], found: Found) -> pd.DataFrame:
    rows = np.array(spikes, dtype=np.intp).reshape(-1, len(Spike._fields))
    at = dict(zip(Spike._fields, rows.T, strict=True))
    return pd.DataFrame(
        {
            **{name: series.step[row] for name, row in at.items()},
            "loss_start": series.loss[at["start"]],
            "loss_peak": series.loss[at["peak"]],
            "jump": _are_jumps(spikes, found),
        }
    )


def _with_causes(
    series: Series,
    table: pd.DataFrame,
    rises: Sequence[Event] | Sequence[Spike],
    jumps: NDArray[np.bool_],
) -> pd.DataFrame:
    """``table`` with why each rise came, and what shows it.

    ``jumps``, (rises,), says with which of them the norm turned.
    """
    causes: list[Cause] = []
    over = 0
    for rise in rises:
        jump = bool(jumps[len(causes)])
        causes.append(cause_of(series, rise.start, rise.peak, over, jump=jump))
        over = max(rise.recovery, 0)
    return table.assign(
        cause=[each.kind for each in causes],
        evidence=[each.evidence for each in causes],
    )


def _changes(series: Series, found: Found, lasting: Sequence[Spike]) -> pd.DataFrame:
    """What came from outside, and rises of the loss for good that are nothing else."""
    changes = [(Spike(each.row, each.row + 1, -1), each.kind) for each in found.changes]
    known = [rise.start for rise, _ in changes] + [each.start for each in found.with_unfinished]
    window = level_rows(len(series))
    for rise in lasting:
        if all(abs(rise.start - row) > window for row in known):
            over = len(series) - rise.start > window
            changes.append((rise, "level" if over else "rise"))
    changes.sort()
    rises = [rise for rise, _ in changes]
    starts = np.array([rise.start for rise in rises], dtype=np.intp)
    table = pd.DataFrame({"start": series.step[starts], "kind": [kind for _, kind in changes]})
    return _with_causes(series, table, rises, np.zeros(len(rises), bool))


def _are_jumps(spikes: Sequence[Spike], found: Found) -> NDArray[np.bool_]:
    """Which spikes are part of an event: they overlap with it."""
    events = found.with_unfinished
    if not events:
        return np.zeros(len(spikes), dtype=bool)
    begins = np.array([min(event.start, event.turn) for event in events])
    ends = np.array([max(event.top, event.recovery) for event in events])
    # The last event that begins before the spike is over; those before it end earlier.
    last = np.searchsorted(begins, [spike.recovery for spike in spikes], side="right") - 1
    starts = np.array([spike.start for spike in spikes], dtype=np.int64)
    return np.asarray((last >= 0) & (ends[np.maximum(last, 0)] >= starts))
