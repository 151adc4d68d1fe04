"""A run as series against time, worked out once: clocks, smoothed series, and its diagnosis.

Mini-batch values are noisy; the paper draws them as means over an epoch. So beside the raw values
it holds the running mean over one epoch of rows (full batch: the values themselves). Where
the paper's additional pass over the training set was made every epoch, its values are drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from limitcycle.errors import UserError
from limitcycle.reading.clock import Array, Clock, Rows
from limitcycle.reading.data import Recorded, data_of
from limitcycle.reading.decayed import decayed, without
from limitcycle.reading.diagnosis import Diagnosis
from limitcycle.reading.door import diagnose
from limitcycle.theory import growth_threshold

# Columns of the epoch table that the additional pass measures, by the names of the step table.
PASSED = {"loss": "train_loss", "effective_grad_norm": "effective_grad_norm"}
AVERAGED = ("loss", "effective_grad_norm", "cosine_distance")
DRAWN = ("loss", "norm", "effective_grad_norm", "cosine_distance")
OF_SGD = "η/ρ²"
# The effective learning rate by how an optimizer's update scales, and by its power of the norm.
RATES = {"gradient": OF_SGD, "normalised": "η/ρ", "weights": "η"}
_POWERS = {2: OF_SGD, 1: "η/ρ", 0: "η"}


@dataclass(frozen=True)
class History:
    """One run, ready to be drawn and asked.

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
        diagnosis: of `limitcycle.diagnose`.
        rate: what its effective learning rate is, by the optimizer: η/ρ², η/ρ, …; empty where that
            is not known.
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
    diagnosis: Diagnosis
    passed: Mapping[str, Array] = field(default_factory=dict)
    rate: str = OF_SGD
    note: str = ""

    @property
    def threshold(self) -> float | None:
        """Product of effective learning rate and gradient norm above which the norm grows.

        By Eq. (3), which holds for SGD without momentum; None with it, for another optimizer,
        without weight decay, or where one of the settings changes or is unknown.
        """
        if self.rate != OF_SGD or self.momentum != 0 or not self.lr * self.weight_decay > 0:
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


def running_mean(values: Array, rows: int) -> Array:
    """Centred mean over ``rows`` neighbours, shorter at the ends; missing values are left out."""
    if rows <= 1:
        return values
    return pd.Series(_finite(values)).rolling(rows, center=True, min_periods=1).mean().to_numpy()


def history_of(run: Recorded, label: str, diagnosis: Diagnosis | None = None) -> History:
    """One run under the name that legends shall give it.

    Args:
        run: a loaded run.
        label: its name.
        diagnosis: of the run, where it was made already; None: it is made here.
    """
    groups = without(getattr(run, "groups", pd.DataFrame()), run.info.get("watched"))
    steps, note = decayed(run.steps, groups)
    frame, tested = _table(steps, run.name), _table(run.epochs, run.name)
    if frame.empty:
        frame = tested.rename(columns={"train_loss": "loss"})
    lr, weight_decay = (_constant(run, frame, name) for name in ("lr", "weight_decay"))
    momentum = _constant(run, frame, "momentum", unknown=0.0)
    # A run that broke down in its first epoch still knows how long that would have been.
    per_epoch = _steps_per_epoch(frame, tested) or run.info.get("epoch_steps")
    clock = _clock(frame, _series(frame, "step"), per_epoch, lr * weight_decay)
    columns = _columns(frame, lr)
    return History(
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
        diagnosis=diagnose(run) if diagnosis is None else diagnosis,
        passed=_passed(run, tested, per_epoch),
        rate=rate_of(run, frame),
        note=note,
    )


def rate_of(run: Recorded, frame: pd.DataFrame) -> str:
    """What the effective learning rate of ``run`` is: by its record, else by the numbers."""
    rule = data_of(run).rule
    if rule is not None:
        unit = "u" if rule.sized else ""  # Muon's, which depends on the tensor's shape
        return f"{unit}{RATES[rule.scaling]}" if rule.scaling in RATES else ""
    if run.run is not None or "effective_lr" not in frame:
        return OF_SGD
    return rate_by_numbers(frame)


def rate_by_numbers(frame: pd.DataFrame) -> str:
    """The power of the norm that a bare table divides its learning rate by; empty if none fits."""
    lr, norm, effective = (_series(frame, name) for name in ("lr", "norm", "effective_lr"))
    for power, rate in _POWERS.items():
        with np.errstate(all="ignore"):
            away = np.abs(effective * norm**power / lr - 1)
        known = away[np.isfinite(away)]
        if len(known) and np.median(known) < 1e-3:
            return rate
    return ""


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
