"""The rows that a folder's record promises: counted whenever it is opened, so that none is missed.

The status says how many rows the tables have up to which step, and so does a checkpoint. Both are
asked: the status of a run that was killed is older than its newest checkpoint, and the checkpoints
of a run that has ended may be removed to save space.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from limitcycle.errors import UserError
from limitcycle.record.checkpoints import promised_rows
from limitcycle.record.described import read_info, read_status
from limitcycle.record.parts import count_rows, list_parts

_REMEDY = "restore the missing file, or start the run anew in another folder"


class Promise(NamedTuple):
    """After ``completed`` updates the tables had so many rows, by name."""

    completed: int
    rows: Mapping[str, int]


def last_of(table: str, completed: int) -> int:
    """The last step that ``table`` may have a row of after so many updates."""
    return completed if table == "epochs" else completed - 1


def count_tables(folder: Path, completed: int, tables: tuple[str, ...]) -> dict[str, int]:
    """How many rows the tables in ``folder`` hold of the first ``completed`` updates.

    Raises:
        UserError: a part is damaged.
    """
    return {name: count_rows(folder / name, last_of(name, completed)) for name in tables}


def check_rows(folder: Path) -> None:
    """Refuse a folder that lacks rows which its record promises.

    Raises:
        UserError: it names the table, what is there and what should be.
    """
    promises = _promises(folder)
    problem = _problem(folder, promises)
    if problem and promises != (newer := _promises(folder)):  # a run is going on in it
        problem = _problem(folder, newer)
    if problem:
        raise UserError(problem)


def compare_rows(folder: Path, promise: Promise, found: Mapping[str, int]) -> None:
    """Refuse rows that are not as many as was promised.

    Raises:
        UserError: as `check_rows`.
    """
    for name, expected in promise.rows.items():
        if name in found and found[name] != expected:
            raise UserError(_said(folder / name, found[name], expected, promise.completed))


def _promises(folder: Path) -> list[Promise]:
    """What the newest checkpoint and the status say, once where they say the same."""
    promises = []
    covered = promised_rows(folder / "checkpoints")
    if covered is not None:
        promises.append(Promise(*covered))
    recorded = dict(read_status(folder).get("recorded", {}))
    if recorded:
        said = Promise(recorded.pop("completed", 0), recorded)
        promises += [said] if said not in promises else []
    return promises


def _problem(folder: Path, promises: Sequence[Promise]) -> str:
    """What is wrong with the rows in ``folder``; empty if nothing is."""
    for completed, rows in promises:
        for name, expected in rows.items():
            found = count_rows(folder / name, last_of(name, completed))
            if found != expected:
                return _said(folder / name, found, expected, completed)
    return "" if promises else _emptied(folder)


def _emptied(folder: Path) -> str:
    """Of a finished run of an earlier version whose checkpoints were removed only this is known."""
    status = read_status(folder)
    if status.get("state") != "done" or not status["step"] or list_parts(folder / "steps"):
        return ""
    if read_info(folder)["run"] is None:
        return ""
    return f"{folder / 'steps'} holds no rows, though the run is done: {_REMEDY}"


def _said(table: Path, found: int, expected: int, completed: int) -> str:
    return (
        f"{table} holds {found:,} rows up to step {completed:,} where {expected:,} were recorded: "
        f"{_REMEDY}"
    )
