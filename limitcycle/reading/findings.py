"""What was found in a table, as data. The sentences about it are made in `words`."""

from dataclasses import dataclass

import pandas as pd

from limitcycle.reading.descent import Descent
from limitcycle.reading.forecast import Forecast
from limitcycle.reading.labels import Label
from limitcycle.reading.lock import EpochLock
from limitcycle.reading.rest import Rest


@dataclass(frozen=True, eq=False)
class Findings:
    """What a run does, in numbers. Steps are those of the table's ``step`` column.

    Attributes:
        label: one of `LABELS`.
        events: one row a destabilisation: ``start``, ``peak``, ``recovery`` as defined in
            `diagnose`; then ``turn`` and ``top``, the steps of the norm's minimum and following
            maximum, ``norm_turn`` and ``norm_top``, the norm there, ``loss_start``, ``loss_peak``,
            ``low`` and ``noise``, the level that the loss left and the scatter about it; ``cause``,
            one of `limitcycle.reading.causes.CAUSES`, and ``evidence``, a clause with its numbers.
        spikes: one row a rise of the loss out of its low level and back, whatever the norm does:
            ``start``, ``peak``, ``recovery``, ``loss_start``, ``loss_peak``, ``jump``, whether it
            is part of an event, ``cause`` and ``evidence``.
        period: median distance of neighbouring starts, steps; NaN with fewer than two events.
        phases: ``phase`` ("A", "B", "C"), ``start``, ``end``; empty without events.
        consistent_from: step at which warm-up is over; None where that cannot be told.
        lock, lock_reason: jumps locked to a position in the epoch, or why none is reported.
        unfinished: step at which the loss left its low level without having come back; None if not.
        turns: how often the norm turned from falling to rising, with a jump or without.
        wandering: the norm turns without jumps so often that the few with one count as chance.
        close: whether it does is a close call.
        nearly_periodic: one jump is there, and one more rise of the norm is nearly one.
        changes: one row a rise that is no jump: ``start`` and ``kind``: ``"data"``, ``"schedule"``
            (it came from outside), ``"level"`` (the loss never came back), ``"rise"`` (it has not
            come back yet); ``cause`` and ``evidence``.
        effective_lr: smallest and largest effective learning rate after warm-up (or in the whole
            table); NaN where the learning rate is not known.
        forecast: of the next jump.
        rest: drift and loss outside of the events; None where there are too few rows.
        descent: how far the loss came down; None where there are too few rows.
        failure: what the diverged run's end was; empty otherwise.
        rows, usable_rows: of the table.
        last_step: the last usable step; None in an empty table.
        unjudged: why the norm says nothing of this run; empty where it does.
    """

    label: Label
    events: pd.DataFrame
    spikes: pd.DataFrame
    period: float
    phases: pd.DataFrame
    consistent_from: int | None
    lock: EpochLock | None
    lock_reason: str
    unfinished: int | None
    turns: int
    wandering: bool
    close: bool
    nearly_periodic: bool
    changes: pd.DataFrame
    effective_lr: tuple[float, float]
    forecast: Forecast
    rest: Rest | None
    descent: Descent | None
    failure: str
    rows: int
    usable_rows: int
    last_step: int | None
    unjudged: str
