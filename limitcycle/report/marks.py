"""Where the loss rose: jumps, and rises that are none, each with its reason in words."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from limitcycle.reading.history import History

_OF_CHANGES = {
    "data": "the data changed",
    "schedule": "the schedule changed",
    "level": "the loss never came back",
    "rise": "the loss has not come back yet",
}


@dataclass(frozen=True)
class Mark:
    """A rise of the loss.

    Attributes:
        step: the last one before it.
        peak: the step of the largest loss; of a rise that did not come back the same as ``step``.
        jump: training was thrown back, the norm with it.
        reason: why it is a jump or none, and what caused it.
    """

    step: int
    peak: int
    jump: bool
    reason: str


def marks(history: History) -> list[Mark]:
    """All rises of the loss, in order of their steps."""
    found = history.diagnosis
    alone = found.spikes[~found.spikes["jump"].to_numpy(bool)]
    rises = [
        *(_mark(row, jump=True) for row in _rows(found.events)),
        *(_mark(row, jump=False) for row in _rows(alone)),
        *(_change(row) for row in _rows(found.changes)),
    ]
    return sorted(rises, key=lambda mark: mark.step)


def counted(rises: Sequence[Mark]) -> str:
    """How many of the rises are no jumps; empty where all are, or there is none."""
    others = sum(not mark.jump for mark in rises)
    if not others:
        return ""
    many = "One rise" if others == 1 else f"{others:,} rises"
    verb = "is" if others == 1 else "are"
    return f"{many} of the loss that {verb} no jump: the norm was not thrown back (faint marks)"


def _rows(frame: pd.DataFrame) -> list[dict[str, object]]:
    columns = {str(name): frame[name].tolist() for name in frame}
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def _mark(row: dict[str, object], *, jump: bool) -> Mark:
    said = "Jump" if jump else "Spike, no jump: the norm was not thrown back"
    return Mark(_whole(row["start"]), _whole(row["peak"]), jump, f"{said}. {_cause(row)}")


def _change(row: dict[str, object]) -> Mark:
    said = f"No jump: {_OF_CHANGES[str(row['kind'])]}"
    return Mark(_whole(row["start"]), _whole(row["start"]), False, f"{said}. {_cause(row)}")


def _cause(row: dict[str, object]) -> str:
    cause = "Cause not known" if row["cause"] == "unknown" else f"Cause: {row['cause']}"
    return f"{cause}; {row['evidence']}." if row["evidence"] else f"{cause}."


def _whole(value: object) -> int:
    return int(str(value))
