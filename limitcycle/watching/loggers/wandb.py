"""Weights & Biases: curves in the run's history over a step of their own.

A run has one counter, which only grows: a row logged is a step made, and W&B drops what is then
logged with a smaller ``step``. Rows that come in blocks, behind the training step, would push the
user's aside. So in a run of hers nothing moves that counter: the newest row of a block waits
(``commit=False``) for the next row that she logs, and goes into it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from limitcycle.reading import Diagnosis, Forecast
from limitcycle.symmetry import Symmetries
from limitcycle.watching.loggers import curves
from limitcycle.watching.loggers.curves import GROUP_CURVES, Curves, Point, check_run, curve, needed

STEP = curve("step")


class WandB:
    """Logs what is measured to a run of Weights & Biases.

    ::

        with wandb.init(project="mine") as run:
            with lc.watch(model, optimizer, sink=WandB(run)) as w:
                ...

    The curves' horizontal axis is ``limitcycle/step``. In a run that the sink opened every row is
    logged. In a run of the user's the newest rows join the rows that she logs; where she has logged
    nothing by the end, all are logged then.

    Args:
        run: None: ``wandb.run`` at the first step; if there is none, one is opened then.
        commit: log every row at once in a run of the user's, too. Each moves the run's step, so her
            own calls of ``log`` must not give a ``step`` then.
        groups: columns of the group table that become curves, one a group.
        every: steps between the rows of the step table that are logged.
        options: of ``wandb.init``, for a run of the sink's own: ``project``, ``mode``, ``id``, …

    Raises:
        UserError: ``wandb`` is not installed, ``run`` is no run, or has ``options`` besides.
    """

    def __init__(
        self,
        run: Any = None,
        *,
        commit: bool = False,
        groups: Sequence[str] = GROUP_CURVES,
        every: int = 1,
        **options: Any,
    ) -> None:
        needed("wandb")
        check_run(run, "define_metric", "wandb.init", options)
        self._given, self._options, self._commit = run, options, commit
        self._curves = Curves(groups, every)
        self._run: Any = None
        self._ours = False
        self._begun_at = 0
        self._defined: set[str] = set()
        self._waiting: list[Point] = []

    def begin(self, info: Mapping[str, Any], symmetries: Symmetries, step: int) -> None:
        """Find or open the run, and say what is watched."""
        wandb = needed("wandb")
        self._run = self._given or wandb.run
        self._ours = self._run is None
        if self._ours:
            self._run = wandb.init(**self._options)
        self._begun_at = 0 if self._ours or self._commit else self._run.step
        self._defined = set()
        told = {**curves.settings(info, symmetries), "symmetries": str(symmetries)}
        self._run.config.update({"limitcycle": told}, allow_val_change=True)
        self._run.define_metric(STEP, hidden=True)

    def __call__(self, steps: pd.DataFrame, groups: pd.DataFrame) -> None:
        """Log rows, or let them wait for the user's."""
        points = self._curves.of(steps, groups)
        self._define(points)
        if self._ours or self._commit:
            self._log(points)
        elif self._untouched:
            self._waiting += points
        elif points:
            self._waiting = []
            self._log(points[-1:], commit=False)

    def foretell(self, step: int, forecast: Forecast) -> None:
        """Log when the next jump comes, in steps from here on, as rows are logged."""
        values = curves.foretold(forecast)
        if not values:
            return
        points = [(step, values)]
        self._define(points)
        if self._ours or self._commit:
            self._log(points)
        elif self._untouched:
            self._waiting += points
        else:
            self._log(points, commit=False)

    def close(self, state: str, step: int, reason: str, diagnosis: Diagnosis | None) -> None:
        """Log what is left, sum up; finish a run of its own."""
        if self._run is None:
            return
        if self._waiting and self._untouched:
            self._log(self._waiting)
        elif self._waiting:
            self._log(self._waiting[-1:], commit=False)
        summary = {curves.STATUS: f"{state} {reason}".strip()}
        if diagnosis is not None:
            summary |= {curves.LABEL: diagnosis.label, curves.DIAGNOSIS: str(diagnosis)}
        self._run.summary.update(summary)
        if self._ours:
            self._run.finish(exit_code=0 if state == "done" else 1)
        self._run, self._waiting = None, []

    @property
    def _untouched(self) -> bool:
        """Whether nobody has logged a row since the beginning."""
        self._run.define_metric(STEP, hidden=True)  # refused if finished; its step waits for 30 s
        return bool(self._run.step == self._begun_at)

    def _log(self, points: Sequence[Point], *, commit: bool = True) -> None:
        for step, values in points:
            self._run.log({STEP: step, **values}, commit=commit)

    def _define(self, points: Sequence[Point]) -> None:
        """Tie new curves to their step; by name, for Transformers ties ``"*"`` to another."""
        found = {_pattern(name) for _, values in points for name in values}
        for pattern in sorted(found - self._defined):
            self._run.define_metric(pattern, step_metric=STEP)
        self._defined |= found


def _pattern(name: str) -> str:
    """The name or, as a dot in it would mean a part, the section that it is in."""
    return f"{name.partition('/')[0]}/*" if "." in name else name
