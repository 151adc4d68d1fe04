"""`diagnose`: the one door to what a run is doing, whatever it comes from."""

from __future__ import annotations  # so that help() says Setting, not what that is made of

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd

from limitcycle.reading import advising, words
from limitcycle.reading.advice import advise, rounded_away
from limitcycle.reading.blurred import blurs
from limitcycle.reading.columns import as_frame, counts_epochs
from limitcycle.reading.data import RunData, data_of, opened
from limitcycle.reading.decayed import decayed
from limitcycle.reading.diagnosis import Diagnosis
from limitcycle.reading.findings import Findings
from limitcycle.reading.judge import judge
from limitcycle.reading.kept import kept
from limitcycle.reading.optimizers import CARRIED, UpdateRule
from limitcycle.reading.plausible import NOT_KNOWN, fall_of, remarks
from limitcycle.reading.series import Setting, read_table, series_of


def diagnose(
    what: Any,
    lr: Setting = None,
    weight_decay: Setting = None,
    *,
    momentum: Setting = None,
    stuck_above: float | None = None,
    status: str | Mapping[str, Any] | None = None,
    train_size: int | None = None,
    batch_size: int | None = None,
) -> Diagnosis:
    """Say what a run is doing, when the next jump comes and what to do about it.

    ::

        found = lc.diagnose("runs/mine")
        print(found)  # in words
        found.label, found.events, found.period, found.forecast, found.advice

    A table will do:

    >>> import limitcycle as lc, numpy as np
    >>> step = np.arange(2000)
    >>> table = {"step": step, "loss": 0.01 + 0.99**step, "norm": 5 * 0.999**step}
    >>> lc.diagnose(table, lr=0.1, weight_decay=0.01)
    <Diagnosis converging: norm still falling>

    *start* is the last step before the loss leaves its low level, *peak* the largest loss between
    start and recovery, *recovery* the first step after the peak at which the loss has come half
    the way back on the scale log(1 + excess ÷ noise): the excess over the low level before the
    event, in units of the scatter about it. So a loss and any a·loss + b, a > 0, have the same
    events. An event needs the norm to turn from falling to rising; the first descent is none, nor
    is a change of data, of schedule or of the loss's scale.

    Args:
        what: a table (of pandas, polars or Arrow, or a mapping of columns), a loaded run, the
            folder of a run, or a running watch. A table has columns ``step``, ``norm`` and
            ``loss`` (or ``train_loss``), in any order of rows; of several values for one step the
            last that is there wins, NaN means missing, and loss and norm may stand in rows of
            their own. Without a ``step``, epochs count. ``epoch``, ``lr``, ``weight_decay``,
            ``momentum`` and ``effective_lr`` are used where they are there.
        lr, weight_decay: one number, or one a row; None takes what ``what`` knows, or the column
            of that name, if any.
        momentum: likewise; heavy-ball momentum in PyTorch's convention, with which the norm decays
            about 1/(1 − μ) times as fast. Where nobody knows it: none.
        stuck_above: a run whose loss never came below it is stuck. None means, for the lab's runs,
            a tenth of the loss of a uniform guess; a table is compared with its own beginning, if
            it begins with its training.
        status: ``"failed"`` or the content of ``status.json``, where the run's end is known.
        train_size, batch_size: to name the size of a batch that jumps follow.

    Raises:
        UserError: (a ValueError) ``what`` is no table and no run, a column is missing or holds no
            numbers, or an argument is outside its range.
    """
    given = {
        "lr": lr,
        "weight_decay": weight_decay,
        "momentum": momentum,
        "stuck_above": stuck_above,
        "status": status,
        "train_size": train_size,
        "batch_size": batch_size,
    }
    said: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    run = opened(what)
    if not said and (stored := kept(run)) is not None:
        return stored
    data = replace(data_of(run), **said)
    bare = not data.described  # nobody recorded it for us: what it says of itself may be wrong
    return _read(replace(data, described=True) if "momentum" in said else data, bare)


def _read(data: RunData, bare: bool) -> Diagnosis:
    steps = as_frame(data.steps)
    judged, note = decayed(steps, data.groups) if len(data.groups) else (steps, "")
    table, ordered = read_table(judged, data.lr, data.weight_decay, data.momentum)
    fall = fall_of(table) if bare else NOT_KNOWN
    series = series_of(
        table,
        len(steps),
        fall.steps_an_update,
        trusted=not fall.too_fast,
        epochs=counts_epochs(judged),
    )
    with np.errstate(all="ignore"):  # losses of 1e308 have infinite differences
        found = judge(series, data)
        hidden = blurs(series, every_step=not bare)
        advice = advise(
            found,
            table,
            rounded_away(table, data.dtypes),
            series.steps_an_update,
            can_cap=_can_cap(data.rule) and not note,
            normalised=data.rule is not None and data.rule.scaling == "normalised",
        )
    advice = replace(advice, text=advising.advice(advice), code=advising.code(advice))
    doubts = [*(remarks(table, fall) if bare else []), *hidden]
    notes = tuple(filter(None, [*data.notes, note, *ordered, *doubts, *_notes(data, table, found)]))
    rotation, resting = (_late(steps, name) for name in ("rotation", "equilibrium_rotation"))
    return Diagnosis(
        **{each.name: getattr(found, each.name) for each in fields(found)},
        advice=advice,
        rotation=rotation,
        equilibrium_rotation=resting,
        headline=words.headline(found),
        reason=words.reason(found),
        text=words.whole(found, rotation, resting, advice, notes),
        notes=notes,
    )


def _can_cap(rule: UpdateRule | None) -> bool:
    """Whether a cap on the effective learning rate was seen to help: under AdamW it was not."""
    return rule is not None and rule.name in CARRIED and rule.scaling == "gradient"


def _notes(data: RunData, table: pd.DataFrame, found: Findings) -> list[str]:
    """What could not be said, or had to be assumed."""
    notes = []
    if data.rule is not None and len(table) and table["loss"].isna().all():
        notes.append("no loss was logged, so jumps cannot be told: call log(loss=loss) in the loop")
    if data.rule is not None and data.rule.scaling == "unknown":
        notes.append(f"what {data.rule.name} does with the gradient is not known: see rotation")
    notes += words.close_calls(found)
    notes += words.changes(found)
    notes += words.untold(found)
    if not data.described and "momentum" not in table and _reckons_with_decay(found):
        notes.append(
            "no momentum is known, so none was reckoned with: the norm decays about 1/(1 − μ) "
            "times as fast where there is some (momentum=…)"
        )
    return notes


def _reckons_with_decay(found: Findings) -> bool:
    """Whether something was said that hangs on how fast weight decay shrinks the norm."""
    return found.forecast.median >= 0 or (found.rest is not None and found.rest.free_decay)


def _late(steps: pd.DataFrame, name: str) -> float:
    """The median of a column over the last tenth of the rows; NaN where there is no such number."""
    if name not in steps or not pd.api.types.is_float_dtype(steps[name]):
        return float("nan")
    late = steps[name].tail(max(len(steps) // 10, 1))
    return float(pd.Series(late.to_numpy(np.float64, na_value=np.nan)).median())
