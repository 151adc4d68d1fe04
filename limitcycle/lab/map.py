"""The map of a plane: every cell trained, coarse grid first, and what became of it as a table.

A cell's run lies in ``cells/<identity>`` of the map's folder. So a command that was interrupted
goes on, and a finer or larger plane in the same folder takes over the runs that both have.
"""

import contextlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd

from limitcycle.errors import RunError, UserError
from limitcycle.lab import machine
from limitcycle.lab.cells import OPEN, Row, row_of
from limitcycle.lab.parallel import Job, Outcome, sweep, thread_budget
from limitcycle.lab.plane import UNITS, Cell, Plane, plane_of, stages
from limitcycle.lab.training import Progress
from limitcycle.record.files import disk_errors, write_json, write_text, write_whole

_MANY = 9  # failures without a success: it is not about single cells


class Map:
    """A plane and the runs of its cells, below a folder.

    Args:
        plane: which cells there are.
        out: the folder; runs of earlier planes that lie there are taken over.

    Attributes:
        missing: the cells that are to be made, in the order in which they will be.
    """

    def __init__(self, plane: Plane, out: Path) -> None:
        self.plane, self.out = plane, out
        self._stages = stages(len(plane.xs), len(plane.ys))
        self._rows = {
            (cell.column, cell.row): row_of(plane, cell, self.folder(cell)) for cell in plane.cells
        }
        self.missing = self._in_order()

    def make(
        self,
        *,
        workers: int | None = None,
        threads: int | None = None,
        device: str = "cpu",
        compile: bool | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        progress: Callable[[int, Progress], None] = lambda _i, _p: None,
        notice: Callable[[str], None] = lambda _: None,
        staged: Callable[[pd.DataFrame], None] = lambda _: None,
    ) -> None:
        """Train the cells that are missing; those that are done are kept, come what may.

        Args:
            workers, should_stop: of `limitcycle.lab.sweep`.
            threads: CPU threads a run; None: as many as a net of this size can use.
            device: where to compute.
            compile: of `limitcycle.lab.train`.
            progress: told (index in ``missing``, how far that cell is).
            notice: told, a line each, what the user should know.
            staged: given the table whenever a stage, but for the last one, is complete.

        Raises:
            UserError, RunError: no cell can be made, for this reason.
        """
        cells, failed, tell = self.missing, list[Outcome](), _once(notice)
        remarks: list[str] = []
        if not cells:
            return

        def ended(index: int, outcome: Outcome) -> None:
            if self._take(cells[index], outcome) == "failed":
                failed.append(outcome)
            if outcome.remark:
                remarks.append(outcome.remark)
            if self._completes_a_stage(cells[index]):
                staged(self.table())

        sweep(
            [Job(cell.run, self._folder(cell.run)) for cell in cells if cell.run],
            workers=workers,
            # Threads change the bits: their number must not hang on how many cells are left.
            threads=threads or self._threads(workers or machine.cores()),
            settings={"device": device, "compile": compile},
            among=[cell.run for cell in self.plane.cells if cell.run],
            should_stop=lambda: should_stop() or self._is_hopeless(failed),
            progress=progress,
            notice=lambda _index, text: tell(text),
            ended=ended,
        )
        if self._is_hopeless(failed):
            self._give_up(failed[0])
        for text in [*remarks, *(outcome.problem for outcome in failed)]:
            tell(text)
        self.missing = self._in_order()

    def table(self) -> pd.DataFrame:
        """One row a cell, row by row of the plane.

        Its columns are the two settings, then ``column``, ``row``; ``product`` ηλ; ``steps``, the
        cell's budget, and ``units``, the same times ηλ; ``state`` (done, failed, refused, stopped,
        waiting); ``verdict``, a label of `limitcycle.diagnose`, and ``region``, the same or "not in
        the budget" where the cap ended the run before a period could show; ``destabilisations``,
        ``period`` (steps), ``period_units`` (period × ηλ), ``best_test_error`` (fraction),
        ``reason``, ``identity`` of the run. What is not known is NaN, or empty.
        """
        return pd.DataFrame(list(self._rows.values()))

    def write(self) -> list[Path]:
        """Write the table as ``map.parquet``, ``map.csv`` and, with the plane, ``map.json``.

        Raises:
            UserError, RunError: the folder cannot be written; the disk is full.
        """
        table = self.table()
        # A column may hold numbers and words: batches of 32, 128 and "full".
        mixed = {n: table[n].astype(str) for n in map(str, table) if table[n].dtype == object}
        plain = table.assign(**mixed)
        with disk_errors(self.out):
            self.out.mkdir(parents=True, exist_ok=True)
        parquet, csv, json = (self.out / f"map.{kind}" for kind in ("parquet", "csv", "json"))
        write_whole(parquet, lambda file: plain.to_parquet(file, index=False))
        write_text(csv, plain.to_csv(index=False))
        write_json(json, {"plane": self.plane.to_dict(), "cells": _plain(table)})
        return [parquet, csv, json]

    def folder(self, cell: Cell) -> Path | None:
        """Where a cell's run lies; None for one that has none."""
        return self._folder(cell.run) if cell.run else None

    def _folder(self, run: Any) -> Path:
        return self.out / "cells" / str(run.identity)

    def _in_order(self) -> list[Cell]:
        """What is missing, stage by stage, the longest first: so no core waits for long."""
        by_place = {(cell.column, cell.row): cell for cell in self.plane.cells}
        order: list[Cell] = []
        for stage in self._stages:
            cells = [by_place[at] for at in stage if self._rows[at]["state"] in OPEN]
            order += sorted(cells, key=lambda cell: self._row(cell)["steps"], reverse=True)
        return order

    def _row(self, cell: Cell) -> Row:
        return self._rows[cell.column, cell.row]

    def _take(self, cell: Cell, outcome: Outcome) -> str:
        """Keep what became of a cell; its state."""
        row = row_of(self.plane, cell, self.folder(cell), outcome)
        self._rows[cell.column, cell.row] = row
        return str(row["state"])

    def _completes_a_stage(self, cell: Cell) -> bool:
        """Whether ``cell`` was the last to come of its stage, but not of all, and some are made."""
        if not self._any_made():
            return False
        going = {at for at, row in self._rows.items() if row["state"] in ("waiting", "stopped")}
        mine = next(stage for stage in self._stages if (cell.column, cell.row) in stage)
        return bool(going) and not going & set(mine)

    def _threads(self, at_once: int) -> int:
        return min(thread_budget(cell.run, at_once) for cell in self.plane.cells if cell.run)

    def _is_hopeless(self, failed: list[Outcome]) -> bool:
        """Whether many cells, or all that there were to make, have failed, and none was made."""
        return not self._any_made() and len(failed) >= min(_MANY, len(self.missing))

    def _give_up(self, failed: Outcome) -> NoReturn:
        """Say why no cell can be made; a mistake leaves nothing behind."""
        for folder in (self.out / "cells", self.out):
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise (UserError if failed.code == 2 else RunError)(failed.problem)

    def _any_made(self) -> bool:
        return any(row["state"] == "done" for row in self._rows.values())


def map_plane(
    settings: Mapping[str, Any], out: str | Path, *, units: float = UNITS, **how: Any
) -> pd.DataFrame:
    """Map the plane of two settings, in folder ``out``; the same call goes on where one ended.

    Args:
        settings: of `limitcycle.Run`, two of them lists of values, for example
            ``{"lr": np.geomspace(0.03, 30, 12), "weight_decay": [0.001, 0.01, 0.1]}``; ``steps``
            is the most that a cell gets.
        out: the map's folder; the table is written there, too.
        units: of 1/(ηλ), after which a cell ends.
        how: ``workers``, ``threads``, ``device``, ``should_stop``, ``progress``, ``notice``,
            ``staged``, as in `Map.make`.

    Returns:
        One row a cell; its columns are those of `Map.table`.

    Raises:
        UserError: no such plane, or no cell of it can be made.
        RunError: the disk failed.
    """
    made = Map(plane_of(settings, units=units), Path(out))
    made.make(**how)
    made.write()
    return made.table()


def _once(tell: Callable[[str], None]) -> Callable[[str], None]:
    """``tell``, but no text twice: what a hundred cells say is said once."""
    told: set[str] = set()

    def tell_new(text: str) -> None:
        if text not in told:
            told.add(text)
            tell(text)

    return tell_new


def _plain(table: pd.DataFrame) -> list[Row]:
    """The rows as JSON takes them: numbers that are not finite become null."""
    rows: list[Row] = table.to_dict("records")  # type: ignore[assignment]
    return [
        {n: None if isinstance(v, float) and not math.isfinite(v) else v for n, v in row.items()}
        for row in rows
    ]
