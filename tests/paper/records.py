"""Records made by hand for the claims' checks: what holds them, and what refutes them.

`made` turns a synthetic table (see `tests.reading.series`) into what a loaded run looks like.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from limitcycle.paper.evidence import Evidence
from limitcycle.paper.scale import QUICK, Scale
from limitcycle.reading.history import History, history_of
from limitcycle.record import Run
from tests.reading.series import Oscillator, quiet

SEEDS = 2


@dataclass
class Made:
    """A record that no training left."""

    run: Run
    steps: pd.DataFrame
    epochs: pd.DataFrame = field(default_factory=pd.DataFrame)
    name: str = "made"
    info: Mapping[str, Any] = field(default_factory=dict)
    status: Mapping[str, Any] = field(default_factory=lambda: {"state": "done"})
    path: Path = Path("made")


def made(
    frame: pd.DataFrame, *, test_error: Sequence[float] | float = 0.1, **settings: Any
) -> Made:
    """A record of ``frame`` (step, loss, norm) for the run with ``settings``."""
    run = Run(**{"lr": 0.1, "weight_decay": 0.01, "steps": len(frame), **settings})
    steps = frame.assign(
        epoch=frame["step"] // 11,
        lr=run.lr,
        weight_decay=run.weight_decay,
        effective_lr=run.lr / frame["norm"] ** 2,
        effective_grad_norm=frame.get("effective_grad_norm", 10 * frame["loss"]),
        cosine_distance=frame.get("cosine_distance", 1e-3 * frame["loss"]),
    )
    tests = np.atleast_1d(np.asarray(test_error, dtype=float))
    at = np.linspace(0, len(frame), max(len(tests), 2)).astype(int)
    epochs = pd.DataFrame(
        {"epoch": at / 11, "step": at, "test_error": np.resize(tests, len(at)), "train_error": 0.0}
    )
    return Made(run, steps, epochs)


def sawtooth(period: int = 700, **settings: Any) -> Made:
    """A periodic record."""
    shape = {name: settings.pop(name) for name in list(settings) if hasattr(Oscillator, name)}
    frame, _ = Oscillator(period=period, **shape).run()
    return made(frame, **settings)


def calm(**settings: Any) -> Made:
    """A converging record: the norm falls, nothing jumps."""
    return made(quiet(fall=0.5), **settings)


def stuck(**settings: Any) -> Made:
    """A record that is stuck at a high loss with a settled norm."""
    return made(quiet(loss=(2.3, 1.0), loss_noise=0.1), **settings)


def diverged(**settings: Any) -> Made:
    """A calm record whose loss is not finite from its step 3,000 on."""
    record = calm(**settings)
    record.steps = record.steps.iloc[:3001].copy()
    record.steps.loc[3000, "loss"] = np.nan
    record.status = {"state": "failed", "reason": "the loss is not finite", "final": True}
    return record


def at_once(**settings: Any) -> Made:
    """A record whose loss was never finite: one row, no evaluation, no snapshot."""
    record = diverged(**settings)
    record.steps = record.steps.iloc[-1:]
    record.epochs = record.epochs.iloc[:0]
    return record


def sure(record: Made, confidence: float) -> Made:
    """``record`` with this confidence on the training set throughout."""
    record.epochs["confidence"] = confidence
    return record


def evidence(scale: Scale = QUICK, **recorded: Any) -> Evidence:
    """Evidence of records by label: a list has one a seed, a single one stands for all of them."""
    lists = {label: each for label, each in recorded.items() if isinstance(each, list)}
    seeds = max(map(len, lists.values()), default=SEEDS)
    singly = {label: [each] * seeds for label, each in recorded.items() if label not in lists}
    return _Alike(scale, {**singly, **lists})


class _Alike(Evidence):
    """Evidence that reads a record once that stands for several seeds."""

    def __getitem__(self, label: str) -> tuple[History, ...]:
        runs = self.recorded.get(label, ())
        if label not in self._opened and len({id(run) for run in runs}) == 1:
            self._opened[label] = (history_of(runs[0], label),) * len(runs)
        return super().__getitem__(label)
