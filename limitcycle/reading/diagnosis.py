"""What `limitcycle.diagnose` returns: what was found, what to expect and to do, and its sentences.

It is data, the sentences included: `words` makes them, and every door shows them as they are.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from limitcycle.errors import UserError
from limitcycle.late import late
from limitcycle.reading.advice import Advice
from limitcycle.reading.descent import Descent
from limitcycle.reading.findings import Findings
from limitcycle.reading.forecast import Forecast
from limitcycle.reading.lock import EpochLock
from limitcycle.reading.rest import Rest
from limitcycle.reading.rounding import Rounding

DIAGNOSIS_VERSION = 4
"""Raised whenever a reading of the same tables may say something else: kept ones are made again."""

_INFINITE = {"inf": math.inf, "-inf": -math.inf}
_FLOATS = ("norm_turn", "norm_top", "loss_start", "loss_peak", "low", "noise")


@dataclass(frozen=True, eq=False)
class Diagnosis(Findings):
    """What a run is doing and what to do; ``str()`` says all of it.

    It has all that `Findings` has, and:

    Attributes:
        advice: one, with its text and a line of code.
        rotation: median angle between x_t and x_{t+1} over the last tenth of the rows, radians;
            NaN where it was not measured.
        equilibrium_rotation: the angle at which theory lets the norm rest, likewise.
        headline: a few words for a table cell, the label first.
        reason: why this label: one clause that names the numbers.
        text: all there is to say, in sentences.
        notes: what was changed, left out or assumed, and what could not be measured, and why.
    """

    advice: Advice
    rotation: float
    equilibrium_rotation: float
    headline: str
    reason: str
    text: str
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Diagnosis {self.headline}>"

    def _repr_html_(self) -> str:
        return str(late("notebook", "diagnosis_card")(self))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: NaN becomes None, infinities ``"inf"`` and ``"-inf"``."""
        values = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return {"format_version": DIAGNOSIS_VERSION, **{k: _plain(v) for k, v in values.items()}}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            UserError: no such content, or another version's.
        """
        if content.get("format_version") != DIAGNOSIS_VERSION:
            raise UserError("this diagnosis was made by another version of limitcycle")
        try:
            return cls(**_restored({name: content[name] for name in _names(cls)}))
        except (AttributeError, KeyError, TypeError, ValueError) as problem:
            raise UserError(f"this is no stored diagnosis ({problem!r} is wrong)") from None


def _names(kind: type[Any]) -> list[str]:
    return [each.name for each in dataclasses.fields(kind)]


def _plain(value: Any) -> Any:
    if isinstance(value, pd.DataFrame):
        return [_plain(row) for row in value.to_dict("records")]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(getattr(value, name)) for name in _names(type(value))}
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(float(value))
    return value


def _restored(content: dict[str, Any]) -> dict[str, Any]:
    """The values of `to_dict` as what they were."""
    advice = dict(content["advice"])
    advice["lost"] = None if advice["lost"] is None else _filled(Rounding, advice["lost"])
    kinds = {"forecast": Forecast, "rest": Rest, "descent": Descent, "lock": EpochLock}
    return {
        **_numbers(content, ("period", "rotation", "equilibrium_rotation")),
        **{
            name: None if content[name] is None else _filled(kind, content[name])
            for name, kind in kinds.items()
        },
        "advice": _filled(Advice, advice),
        "changes": _frame(content["changes"], CHANGE_COLUMNS),
        "effective_lr": tuple(_number(each) for each in content["effective_lr"]),
        "events": _frame(content["events"], EVENT_COLUMNS),
        "spikes": _frame(content["spikes"], SPIKE_COLUMNS),
        "phases": _frame(content["phases"], PHASE_COLUMNS),
        "notes": tuple(content["notes"]),
    }


_TEXTS = ("phase", "kind", "cause", "evidence")
_WHY = ("cause", "evidence")
EVENT_COLUMNS = ("start", "peak", "recovery", "turn", "top", *_FLOATS, *_WHY)
SPIKE_COLUMNS = ("start", "peak", "recovery", "loss_start", "loss_peak", "jump", *_WHY)
CHANGE_COLUMNS = ("start", "kind", *_WHY)
PHASE_COLUMNS = ("phase", "start", "end")


def _filled(kind: type[Any], content: Mapping[str, Any]) -> Any:
    """A dataclass of numbers and texts; None is NaN where the field is a float."""
    floats = [each.name for each in dataclasses.fields(kind) if each.type is float]
    return kind(**_numbers({name: content[name] for name in _names(kind)}, floats))


def _numbers(content: Mapping[str, Any], names: Any) -> dict[str, Any]:
    return {**content, **{name: _number(content[name]) for name in names}}


def _number(value: Any) -> float:
    if value is None:
        return math.nan
    return _INFINITE[value] if isinstance(value, str) else float(value)


def _frame(records: list[Mapping[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    """A table of events or phases; one without rows has the types of one with rows."""
    frame = pd.DataFrame(records, columns=list(columns))
    if records:
        return frame
    numbers = [name for name in columns if name not in _TEXTS]
    kinds = {name: "float64" if name in _FLOATS else "int64" for name in numbers}
    if "jump" in kinds:
        kinds["jump"] = "bool"
    return frame.astype(kinds)
