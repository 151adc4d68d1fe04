"""A plane of two settings as data: the runs that its cells are, and the order of their making.

What a run does shows on the time scale 1/(ηλ), on which weight decay shrinks the norm; so a cell's
budget is so many units of it, and a cap keeps cells of small ηλ from costing for ever.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from limitcycle.checks import positive
from limitcycle.errors import UserError
from limitcycle.lab.fits import refuse_impossible
from limitcycle.record import Run

UNITS = 12.0
"""A run stuck after twelve units is stuck; a periodic one has had its warm-up and many periods."""

MOST_STEPS = 4_000
LEAST_STEPS = 1_000
"""Fewer hardly show whether a net learns at all, however fast its norm moves."""

EVALUATIONS = 50
"""The smallest of many test errors is smaller than that of few: every cell has equally many."""

MOST_CELLS = 10_000

_NO_AXES = ("steps", "epochs", "start_from", "eval_every", "train_pass", "snapshot_every")
AXES = tuple(field.name for field in fields(Run) if field.name not in _NO_AXES)
"""The settings that a plane can be spanned by: those that change what a run does."""


class Cell(NamedTuple):
    """One cell: where it lies, and its run; or, where its settings make none, why not."""

    column: int
    row: int
    run: Run | None
    problem: str = ""


@dataclass(frozen=True)
class Plane:
    """Two settings and their values, and what all cells share.

    Attributes:
        x, y: the two settings.
        xs, ys: their values, in order.
        fixed: the other settings of `limitcycle.Run`; what is left out has the run's own default.
        units: a cell ends after so many units of 1/(ηλ) (with momentum μ, of (1 − μ)/(ηλ)).
        steps: ... but never after more updates than this.
    """

    x: str
    y: str
    xs: tuple[Any, ...]
    ys: tuple[Any, ...]
    fixed: Mapping[str, Any]
    units: float = UNITS
    steps: int = MOST_STEPS

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, row by row."""
        return tuple(
            self._cell(column, row) for row in range(len(self.ys)) for column in range(len(self.xs))
        )

    def to_dict(self) -> dict[str, Any]:
        """The plane as plain JSON values."""
        values = {self.x: list(self.xs), self.y: list(self.ys)}
        budget = {"units": self.units, "steps": self.steps}
        return {"x": self.x, "y": self.y, **values, "fixed": dict(self.fixed), **budget}

    def _cell(self, column: int, row: int) -> Cell:
        settings = {**self.fixed, self.x: self.xs[column], self.y: self.ys[row]}
        try:
            run = Run(**settings, steps=self.steps)
            refuse_impossible(run)
        except UserError as problem:
            return Cell(column, row, None, str(problem))
        steps = self._budget(run)
        every = run.eval_every or max(1, steps // EVALUATIONS)
        return Cell(column, row, replace(run, steps=steps, eval_every=every))

    def _budget(self, run: Run) -> int:
        if rate(run) * self.steps <= self.units:
            return self.steps
        return min(self.steps, max(LEAST_STEPS, round(self.units / rate(run))))

    def is_cut(self, run: Run) -> bool:
        """Whether the cap ended this cell's run before its ``units``."""
        return 0 < (run.steps or 0) * rate(run) < self.units * (1 - 1e-3)


def plane_of(settings: Mapping[str, Any], *, units: float = UNITS) -> Plane:
    """The plane spanned by the two settings that have several values.

    Args:
        settings: of `limitcycle.Run`; exactly two of them lists of values, the first one across.
            ``steps`` is the most that a cell gets (4,000 where it is not given).
        units: of 1/(ηλ), after which a cell ends.

    Raises:
        UserError: not two such settings, one that no plane is spanned by, or values of which no
            cell can be made.
    """
    settings = {name: _in_words(name, value) for name, value in settings.items()}
    axes = {name: _ordered(value) for name, value in settings.items() if _is_list(value)}
    fixed = {name: value for name, value in settings.items() if name not in axes}
    _check_names(settings, axes)
    positive("units", units)
    most = Run(steps=fixed.pop("steps", None) or MOST_STEPS).steps or MOST_STEPS
    (x, xs), (y, ys) = axes.items()
    if len(xs) * len(ys) > MOST_CELLS:
        raise UserError(f"{len(xs)} × {len(ys)} cells are more than {MOST_CELLS:,}: take fewer")
    plane = Plane(x, y, xs, ys, fixed, float(units), most)
    if all(cell.run is None for cell in plane.cells):
        raise UserError(plane.cells[0].problem)
    return plane


def rate(run: Run) -> float:
    """At which weight decay alone shrinks the norm, per step: ηλ, with momentum ηλ/(1 − μ)."""
    return run.lr * run.weight_decay / (1 - run.momentum)


def stages(columns: int, rows: int) -> list[list[tuple[int, int]]]:
    """The cells (column, row) of a plane in stages: every fourth each way, every second, the rest.

    No cell comes twice; a stage that would be empty is left out.
    """
    found: list[list[tuple[int, int]]] = []
    done: set[tuple[int, int]] = set()
    for stride in (4, 2, 1):
        picked = [(x, y) for y in _every(stride, rows) for x in _every(stride, columns)]
        found.append([cell for cell in picked if cell not in done])
        done.update(picked)
    return [stage for stage in found if stage]


def _every(stride: int, count: int) -> range:
    """Every ``stride``-th of ``count``, about their middle; a smaller stride keeps these."""
    return range((count - 1) % 4 // 2 % stride, count, stride)


def _in_words(name: str, value: Any) -> Any:
    """A full batch by its word, not by None."""
    if name != "batch_size":
        return value
    return [_in_words(name, each) for each in value] if _is_list(value) else value or "full"


def _is_list(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | Mapping)


def _ordered(values: Iterable[Any]) -> tuple[Any, ...]:
    """Each value once: numbers in ascending order, then the others as they came."""
    plain = dict.fromkeys(v.item() if isinstance(v, np.generic) else v for v in values)
    numbers = sorted(value for value in plain if isinstance(value, Real))
    return (*numbers, *(value for value in plain if not isinstance(value, Real)))


def _check_names(settings: Mapping[str, Any], axes: Mapping[str, tuple[Any, ...]]) -> None:
    known = {field.name for field in fields(Run)}
    for name in settings:
        if name not in known:
            raise UserError(f"a run has no setting {name!r}; a plane takes {', '.join(AXES)}")
    if "epochs" in settings:
        raise UserError("a plane's budget is its units and, at most, its steps: leave out epochs")
    for name, values in axes.items():
        if name not in AXES:
            raise UserError(f"{name} cannot be an axis; choose of {', '.join(AXES)}")
        if len(values) < 2:
            raise UserError(f"{name} needs two values or more to be an axis, not {len(values)}")
    if len(axes) != 2:
        named = ", ".join(axes) or "none"
        raise UserError(f"a plane has two settings with several values, not {len(axes)} ({named})")
