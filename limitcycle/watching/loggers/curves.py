"""What loggers keep of a run: rows as curves, and its settings as plain values.

The joint row of a step is the curves ``limitcycle/COLUMN`` at that step. Groups have the curves
``limitcycle_COLUMN/GROUP``, so that a logger's page shows a section a quantity with all groups in
it; of them only the newest row of each hand-over is kept, because a model has dozens. No name is
another's beginning up to a slash: a store that keeps curves as files could not hold both.
"""

import importlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from limitcycle.errors import UserError
from limitcycle.extras import from_extra
from limitcycle.reading import Forecast
from limitcycle.record import GROUP_COLUMNS
from limitcycle.symmetry import Symmetries

GROUP_CURVES = ("norm", "effective_lr", "effective_grad_norm", "rotation")
STATUS = "limitcycle/status"
LABEL = "limitcycle/label"
DIAGNOSIS = "limitcycle/diagnosis"
SYMMETRIES = "limitcycle/symmetries"

Point = tuple[int, dict[str, float]]
Plain = bool | int | float | str


class Curves:
    """Makes curves of rows.

    A curve begins with its first number: what cannot be measured in a run has none. From then on
    NaN is NaN.

    Args:
        groups: the columns of the group table to keep.
        every: steps between the rows of the step table to keep.

    Raises:
        UserError: a column is not in the group table, or ``every`` is no whole number above 0.
    """

    def __init__(self, groups: Sequence[str], every: int) -> None:
        self._groups = [groups] if isinstance(groups, str) else list(groups)
        for name in self._groups:
            if name in ("step", "group") or name not in GROUP_COLUMNS:
                raise UserError(
                    f"groups names columns of the group table, such as {', '.join(GROUP_CURVES)}; "
                    f"{name!r} is none"
                )
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise UserError(f"every must be a whole number of at least 1, not {every!r}")
        self._every = every
        self._begun: set[str] = set()

    def of(self, steps: pd.DataFrame, groups: pd.DataFrame) -> list[Point]:
        """Steps and, by name of the curve, the values there, oldest first."""
        steps = steps[steps["step"] % self._every == 0]
        if steps.empty:
            return []
        points = self._points(
            steps["step"].to_numpy(),
            {
                curve(str(name)): steps[name].to_numpy(np.float64)
                for name in steps.columns.drop("step")
            },
        )
        newest, values = points[-1]
        rows = groups[groups["step"] == newest]
        parts = {
            curve(column, group): np.array([value])
            for column in self._groups
            for group, value in zip(rows["group"], rows[column], strict=True)
        }
        values.update(self._points(np.array([newest]), parts)[0][1])
        return points

    def _points(
        self, steps: NDArray[np.int64], columns: Mapping[str, NDArray[np.float64]]
    ) -> list[Point]:
        self._begun |= {name for name, values in columns.items() if np.isfinite(values).any()}
        kept = {name: values.tolist() for name, values in columns.items() if name in self._begun}
        return [
            (step, {name: values[row] for name, values in kept.items()})
            for row, step in enumerate(steps.tolist())
        ]


def curve(column: str, group: str | None = None) -> str:
    """The curve's name, in characters that every logger takes."""
    name = f"limitcycle/{column}"
    if group is not None:
        name = f"limitcycle_{column}/{group.replace(' (+', '_and_').replace(')', '_more')}"
    return re.sub(r"[^\w./-]+", "_", name)


def foretold(forecast: Forecast) -> dict[str, float]:
    """A forecast as curves; none where it is withheld."""
    if not math.isfinite(forecast.median):
        return {}
    told = {"low": forecast.low, "median": forecast.median, "high": forecast.high}
    found = {curve(f"forecast_{name}"): value for name, value in told.items()}
    return {**found, curve("alarm"): float(forecast.alarm)}


def settings(info: Mapping[str, Any], symmetries: Symmetries) -> dict[str, Plain]:
    """What is watched and how it is trained; a setting that parameter groups differ in is a list.

    Args:
        info: of `limitcycle.watching.settings.run_info`.
        symmetries: of the model.
    """
    watched = info["watched"]
    groups: Sequence[Mapping[str, Any]] = watched["settings"]
    names = dict.fromkeys(name for group in groups for name in group)
    listed = {name: _distinct([group.get(name) for group in groups]) for name in names}
    tensors = sum(len(group.names) for group in symmetries.groups) + len(symmetries.not_invariant)
    return {
        **{name: value for name, value in listed.items() if value is not None},
        **{name: watched[name] for name in ("model", "parameters", "optimizer", "every")},
        "scale_invariant": f"{len(symmetries.scale_invariant)} of {tensors} tensors",
        **{name: info[name] for name in ("device", "torch", "limitcycle")},
    }


def _distinct(values: Sequence[Any]) -> Plain | None:
    """The one value, or all that there are in words."""
    found = [value for index, value in enumerate(values) if value not in values[:index]]
    if len(found) == 1 and (found[0] is None or isinstance(found[0], bool | int | float | str)):
        return found[0]
    return ", ".join(map(str, found))


def check_run(run: Any, sign: str, opener: str, options: Mapping[str, Any]) -> None:
    """Refuse a ``run`` that is none (it has no ``sign``), or that comes with ``options`` besides.

    Raises:
        UserError: it names the ``opener`` of runs.
    """
    if run is None:
        return
    if not hasattr(run, sign):
        raise UserError(f"run is what {opener} returns, not {type(run).__name__}")
    if options:
        raise UserError(f"{', '.join(options)}: for {opener}, but a run is given")


def needed(extra: str, module: str = "") -> Any:
    """The package of a logger.

    Raises:
        UserError: it is not installed.
    """
    with from_extra(extra, f"this sink needs {extra}"):
        found = importlib.import_module(module or extra)
        if getattr(found, "__file__", None) is None:  # as of the folder that W&B leaves
            raise ImportError(f"{extra} is but a folder here")
    return found
