"""What the pictures need of one run, worked out once: label, clocks, verdict, smoothed series.

Mini-batch values are noisy; the paper draws them as means over an epoch. So beside the raw values
a track holds the running mean over one epoch of rows (full batch: the values themselves). Where
the paper's additional pass over the training set was made every epoch, its values are drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd

from limitcycle.dynamics import Verdict, decayed, diagnose
from limitcycle.errors import UserError
from limitcycle.report.figure import Array, Clock
from limitcycle.report.thin import Rows, extremes_between, thin
from limitcycle.theory import growth_threshold

# Columns of the epoch table that the additional pass measures, by the names of the step table.
PASSED = {"loss": "train_loss", "effective_grad_norm": "effective_grad_norm"}
AVERAGED = ("loss", "effective_grad_norm", "cosine_distance")
DRAWN = ("loss", "norm", "effective_grad_norm", "cosine_distance")


class Recorded(Protocol):
    """A loaded run, as `limitcycle.load` returns it; ``run`` is None for somebody's bare table."""

    @property
    def name(self) -> str:
        """The folder's name; any text."""

    @property
    def run(self) -> Any:
        """The description."""

    @property
    def info(self) -> Mapping[str, Any]:
        """Versions, device, threads and the like."""

    @property
    def status(self) -> Mapping[str, Any]:
        """``state`` and ``reason``."""

    @property
    def steps(self) -> pd.DataFrame:
        """The step table; may be empty."""

    @property
    def epochs(self) -> pd.DataFrame:
        """The epoch table; may be empty."""


@dataclass(frozen=True)
class Track:
    """One run, ready to be drawn.

    Attributes:
        source: the loaded run.
        label: what tells it from the others, for legends.
        columns: series against ``clock``, by name, each of shape (n,); NaN where not recorded.
        clock: when the n rows happen.
        means: the noisy ones of them averaged over one epoch, shape (n,).
        test_error: fractions, shape (m,), against ``test_clock``.
        passed: what the paper's additional pass measured, and the effective learning rate then,
            each of shape (m,), against ``test_clock``; empty unless it was made every epoch.
        lr, weight_decay, momentum: constants of the run; NaN where they change or, but for
            momentum, which is then 0, are unknown.
        verdict: of `limitcycle.dynamics.diagnose`.
        note: whose norm and rates these are, where not those of all scale-invariant weights.
    """

    source: Recorded
    label: str
    columns: dict[str, Array]
    clock: Clock
    means: dict[str, Array]
    test_error: Array
    test_clock: Clock
    lr: float
    weight_decay: float
    momentum: float
    verdict: Verdict
    passed: Mapping[str, Array] = field(default_factory=dict)
    note: str = ""

    @property
    def threshold(self) -> float | None:
        """Product of effective learning rate and gradient norm above which the norm grows.

        By Eq. (3), which holds without momentum; None with it, without weight decay, or where one
        of the settings changes or is unknown.
        """
        if self.momentum != 0 or not self.lr * self.weight_decay > 0:
            return None
        return float(growth_threshold(self.lr, self.weight_decay))

    def evaluations(self) -> Rows:
        """Rows of the epoch table within the stretch of time that ``clock`` covers."""
        at, steps = self.test_clock.steps, self.clock.steps
        if len(steps) == 0:
            return np.empty(0, dtype=np.int64)
        # The last evaluation follows the last step.
        return np.flatnonzero((at >= steps[0]) & (at <= steps[-1] + 1))

    def rows_of(self, steps: Sequence[float] | Array) -> Rows:
        """The rows at these steps (the last one before, where a step is not in the table)."""
        rows = np.searchsorted(self.clock.steps, np.asarray(steps, dtype=float), side="right") - 1
        return np.clip(rows, 0, max(len(self.clock.steps) - 1, 0)).astype(np.int64)

    def rows_to_draw(self, budget: int, window: slice = slice(None)) -> Rows:
        """Rows within ``window`` that draw like all of them; see `limitcycle.report.thin`."""
        first, last, _ = window.indices(len(self.clock.steps))
        if last <= first:
            return np.empty(0, dtype=np.int64)
        keep = self._landmarks(budget)
        inside = keep[(keep >= first) & (keep < last)] - first
        series = [self.columns[name][first:last] for name in DRAWN]
        measured = [column for column in series if np.isfinite(column).any()]
        return first + thin(measured or series[:1], budget, inside)

    def _landmarks(self, budget: int) -> Rows:
        """Rows of the events and, where they fit half the budget, of the turns between them."""
        events = self.verdict.events
        marks = [self.rows_of(events[name].to_numpy()) for name in ("start", "peak", "recovery")]
        cuts = np.unique(np.concatenate([[0], marks[1], [len(self.clock.steps)]])).astype(np.int64)
        if 6 * len(cuts) < budget / 2:
            marks += [
                extremes_between(self.columns["norm"], cuts, largest=True),
                extremes_between(self.columns["norm"], cuts, largest=False),
                extremes_between(self.columns["loss"], cuts, largest=False),
            ]
        return np.unique(np.concatenate(marks)).astype(np.int64)


def tracks(runs: Sequence[Recorded]) -> list[Track]:
    """One track a run, in the order given.

    Raises:
        UserError: there is no run.
    """
    if not runs:
        raise UserError("there is no run to show: give a run folder, or a folder of run folders")
    return [track_of(run, label) for run, label in zip(runs, labels(runs), strict=True)]


def labels(runs: Sequence[Recorded]) -> list[str]:
    """What tells the runs apart: the settings that differ, or the names where those do not."""
    if any(run.run is None for run in runs):
        return [run.name for run in runs]
    settings = [asdict(run.run) for run in runs]
    if len(runs) == 1:
        return [_phrase("lr", settings[0]["lr"])]
    differing = [name for name in settings[0] if _differs(name, settings)]
    short = [name for name in differing if name not in ("steps", "epochs", "eval_every")]
    for names in (short, differing):
        phrases = [[_phrase(name, each[name]) for name in names] for each in settings]
        found = [", ".join(filter(None, each)) for each in phrases]
        if len(names) <= 3 and all(found) and len(set(found)) == len(found):
            return found
    return [run.name for run in runs]


def _differs(name: str, settings: Sequence[Mapping[str, Any]]) -> bool:
    return any(each[name] != settings[0][name] for each in settings)


def _phrase(setting: str, value: Any) -> str:
    """A setting and its value in the field's words."""
    if setting == "batch_size":
        return "full batch" if value is None else f"batch {value}"
    words = {"lr": "η", "weight_decay": "λ"}.get(setting, setting.replace("_", " "))
    return f"{words} = {value:g}" if isinstance(value, float) else f"{words} {value}"


def running_mean(values: Array, rows: int) -> Array:
    """Centred mean over ``rows`` neighbours, shorter at the ends; missing values are left out."""
    if rows <= 1:
        return values
    return pd.Series(_finite(values)).rolling(rows, center=True, min_periods=1).mean().to_numpy()


def track_of(run: Recorded, label: str) -> Track:
    """One run under the name that legends shall give it."""
    steps, note = decayed(run.steps, getattr(run, "groups", pd.DataFrame()))
    frame, tested = _table(steps, run.name), _table(run.epochs, run.name)
    if frame.empty:
        frame = tested.rename(columns={"train_loss": "loss"})
    lr, weight_decay = (_constant(run, frame, name) for name in ("lr", "weight_decay"))
    momentum = _constant(run, frame, "momentum", unknown=0.0)
    # A run that broke down in its first epoch still knows how long that would have been.
    per_epoch = _steps_per_epoch(frame, tested) or run.info.get("epoch_steps")
    clock = _clock(frame, _series(frame, "step"), per_epoch, lr * weight_decay)
    columns = _columns(frame, lr)
    return Track(
        source=run,
        label=label,
        columns=columns,
        clock=clock,
        means={name: running_mean(columns[name], _rows(clock, per_epoch)) for name in AVERAGED},
        test_error=_series(tested, "test_error"),
        test_clock=_clock(frame, _series(tested, "step"), per_epoch, lr * weight_decay),
        lr=lr,
        weight_decay=weight_decay,
        momentum=momentum,
        verdict=_verdict(
            run, frame.assign(**columns), lr=lr, weight_decay=weight_decay, momentum=momentum
        ),
        passed=_passed(run, tested, per_epoch),
        note=note,
    )


def _table(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """``frame`` in order of its steps, each once; without rows where it has none."""
    if frame.empty:
        return pd.DataFrame({"step": np.empty(0)})
    if "step" not in frame:
        raise UserError(f"the table of run {name!r} has no column 'step'")
    return frame.sort_values("step", kind="stable").drop_duplicates("step", keep="last")


def _series(frame: pd.DataFrame, name: str) -> Array:
    if name not in frame:
        return np.full(len(frame), np.nan)
    return frame[name].to_numpy(dtype=np.float64, na_value=np.nan)


def _finite(values: Array) -> Array:
    """``values`` with NaN for infinities, which differences and means cannot take."""
    return np.where(np.isfinite(values), values, np.nan)


def _passed(run: Recorded, tested: pd.DataFrame, per_epoch: float | None) -> dict[str, Array]:
    """What the additional passes measured, if they are as frequent as the means."""
    between = np.diff(_series(tested, "step"))
    often = per_epoch is not None and len(between) > 0 and np.median(between) < 1.5 * per_epoch
    if not (often and getattr(run.run, "train_pass", False)):
        return {}
    names = {**PASSED, "effective_lr": "effective_lr"}
    return {name: _series(tested, column) for name, column in names.items()}


def _columns(frame: pd.DataFrame, lr: float) -> dict[str, Array]:
    """The series that are drawn; the effective ones computed where the table leaves them out."""
    names = (*DRAWN, "effective_lr")
    found = {name: _series(frame, name) for name in names}
    with np.errstate(all="ignore"):
        if "effective_lr" not in frame:
            found["effective_lr"] = lr / found["norm"] ** 2
        if "effective_grad_norm" not in frame:
            found["effective_grad_norm"] = found["norm"] * _series(frame, "grad_norm")
    return found


def _constant(run: Recorded, frame: pd.DataFrame, name: str, unknown: float = np.nan) -> float:
    """The run's setting of that name; NaN where it changes, ``unknown`` where nobody said."""
    described = float(getattr(run.run, name, unknown))
    recorded = _series(frame, name)
    recorded = recorded[np.isfinite(recorded)]
    if len(recorded) == 0:
        return described
    first = float(recorded[0])
    if np.ptp(recorded) > 1e-5 * abs(first):
        return np.nan
    return described if np.isclose(described, first, rtol=1e-5) else first


def _steps_per_epoch(*tables: pd.DataFrame) -> float | None:
    """Steps from one epoch to the next, from the first table that covers two of them."""
    for table in tables:
        epoch, step = _finite(_series(table, "epoch")), _series(table, "step")
        turns = np.flatnonzero(np.diff(epoch) > 0) + 1
        passed = epoch[turns[-1]] - epoch[turns[0]] if len(turns) > 1 else 0.0
        if passed > 0:  # a column that starts anew passes none
            return float((step[turns[-1]] - step[turns[0]]) / passed)
    return None


def _rows(clock: Clock, per_epoch: float | None) -> int:
    """How many rows of the table an epoch has; 1 where that is unknown."""
    count = len(clock.steps)
    if per_epoch is None or count == 0:
        return 1
    return round(per_epoch * count / max(np.ptp(clock.steps), 1))


def _clock(frame: pd.DataFrame, steps: Array, per_epoch: float | None, product: float) -> Clock:
    """The run's clock at ``steps``; one without any instant has every axis, and vetoes none."""
    if len(steps) == 0:
        return Clock(steps, steps, steps)
    epochs = steps / per_epoch if per_epoch else None
    return Clock(steps, epochs, _periods(frame, steps, product))


def _periods(frame: pd.DataFrame, steps: Array, product: float) -> Array | None:
    """∫ηλ dt up to ``steps``; None where there is no weight decay, or it is unknown."""
    if product > 0:
        return steps * product
    recorded = _series(frame, "step")
    products = _finite(_series(frame, "lr")) * _finite(_series(frame, "weight_decay"))
    known = len(products) > 0 and np.isfinite(products).all() and (products > 0).any()
    if not (np.isnan(product) and known):
        return None
    before = np.diff(recorded, prepend=0.0) * np.concatenate([products[:1], products[:-1]])
    beyond = np.maximum(steps - recorded[-1], 0) * products[-1]
    return np.asarray(np.interp(steps, recorded, np.cumsum(before)) + beyond)


def _verdict(run: Recorded, frame: pd.DataFrame, **settings: float) -> Verdict:
    """The verdict; settings that change are left to the columns of ``frame``."""
    return diagnose(
        frame,
        **{
            name: value
            for name, value in settings.items()
            if value > 0 or (value == 0 and name != "lr")
        },
        status=dict(run.status),
        train_size=run.info.get("train_size"),
        batch_size=getattr(run.run, "batch_size", None),
    )
