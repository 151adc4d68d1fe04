"""All runs below a folder that is being written, and what the page is told of each.

Two threads may look after a board: one takes in what is new (`refresh`, milliseconds, however long
the runs are), another judges it anew (`read_again`, longer the longer they are). Answers are made
there and only handed on to whoever asks.
"""

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from limitcycle.errors import UserError
from limitcycle.reading.forecast import Forecast
from limitcycle.reading.history import History
from limitcycle.record.files import reading
from limitcycle.report.content import common, depth_values, said
from limitcycle.report.details import summary_table
from limitcycle.report.legend import labels
from limitcycle.report.live.followed import Followed
from limitcycle.report.page import script_safe
from limitcycle.report.panels import panels_of, stacked_panels
from limitcycle.report.web import Clocks, paint_web

LOOKED_EVERY = 3.0
"""Seconds between two looks for runs that have begun."""

STILL_AFTER = 20.0
"""Seconds without anything new after which runs that have ended are taken to be all."""

MOST_RUNS = 64


@dataclass
class Piece:
    """What the page is told of one run: JSON, and a number that grows with every change."""

    version: int
    text: str
    history: History


class Board:
    """The runs below a folder.

    Args:
        folder: where they lie, or will lie.
        clock: seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self._clock = folder, clock
        self._runs: list[Followed] = []
        self._labels: list[str] = []
        self._pieces: list[Piece] = []
        self._unreadable: dict[Path, str] = {}
        self._lock, self._painting = threading.Lock(), threading.Lock()
        self._looked = -np.inf
        self._changed = clock()
        self._table = ""

    @property
    def runs(self) -> Sequence[Followed]:
        """Those that are followed."""
        return tuple(self._runs)

    @property
    def over(self) -> bool:
        """Whether all runs have ended, and nothing has come since for a while."""
        quiet = self._clock() - self._changed > STILL_AFTER
        return bool(self._runs) and quiet and all(run.ended for run in self._runs)

    def refresh(self) -> int:
        """Take in what is new; how many runs have changed."""
        changed = self._look()
        for at, run in enumerate(self._runs):
            try:
                news = run.refresh()
            except UserError as problem:
                self._unreadable[run.path] = str(problem)
                continue
            if news:
                changed.add(at)
        for at in changed:
            self._paint(at)
        if changed:
            self._changed = self._clock()
            self._table = summary_table([piece.history for piece in self._pieces])
        return len(changed)

    def read_again(self) -> int:
        """Judge anew the runs in which enough has happened; how many these were."""
        judged = 0
        for at, run in enumerate(self.runs):
            changed = run.foresee()
            if run.wants_reading():
                try:
                    run.diagnose()
                except UserError as problem:
                    self._unreadable[run.path] = str(problem)
                    continue
                changed = True
            if changed and at < len(self._pieces):
                self._paint(at)
                judged += 1
        if judged:
            self._table = summary_table([piece.history for piece in self._pieces])
        return judged

    def answer(self, seen: Sequence[int]) -> str:
        """What has changed since the page saw these versions of the runs, as JSON."""
        with self._lock:
            pieces = list(self._pieces)
        known = [*seen, *([0] * len(pieces))]
        news = [
            f'"{at}":{piece.text}' for at, piece in enumerate(pieces) if piece.version > known[at]
        ]
        versions = [piece.version for piece in pieces]
        state = json.dumps(
            {
                "versions": versions,
                "states": [run.state for run in self._runs],
                "over": self.over,
                "table": self._table if news else "",
                "problems": list(self._unreadable.values())[:3],
            }
        )
        return f'{{"state":{state},"runs":{{{",".join(news)}}}}}'

    def _look(self) -> set[int]:
        """Look for runs that have begun since; those that are to be painted."""
        if self._clock() - self._looked < LOOKED_EVERY or len(self._runs) >= MOST_RUNS:
            return set()
        self._looked = self._clock()
        known = {run.path for run in self._runs} | set(self._unreadable)
        with reading(self.folder):
            found = sorted(file.parent for file in self.folder.rglob("run.json"))
        before = len(self._runs)
        for path in [path for path in found if path not in known][: MOST_RUNS - before]:
            try:
                self._runs.append(Followed(path))
            except UserError as problem:
                self._unreadable[path] = str(problem)
        if len(self._runs) == before:
            return set()
        named = labels(self._runs)  # what tells the runs apart may be another thing now
        again = {at for at in range(before) if named[at] != self._labels[at]}
        self._labels = named
        return again | set(range(before, len(self._runs)))

    def _paint(self, at: int) -> None:
        with self._painting:  # both threads may, and the later one must be the newer one
            self._painted(at)

    def _painted(self, at: int) -> None:
        run, version = self._runs[at], 1
        history = run.history(self._labels[at])
        text = script_safe(_piece(at, run, history))
        with self._lock:
            if at < len(self._pieces):
                version = self._pieces[at].version + 1
                self._pieces[at] = Piece(version, text, history)
            else:
                self._pieces.append(Piece(version, text, history))


def _piece(at: int, run: Followed, history: History) -> dict[str, Any]:
    clocks = Clocks()
    return {
        "panels": paint_web(stacked_panels([history], first=at), clocks),
        "loop": paint_web(panels_of([history], ["phase"], first=at), clocks)[0],
        "run": {
            **said(at, history, clocks),
            "forecast": None if run.ended else _band(run.forecast, run.forecast_from),
            "pending": f"Reading {run.rows:,} rows" if run.pending else "",
            "depth": depth_values(run.depth(), history, clocks),
        },
        "common": common([history], "steps"),
        "clocks": clocks.encoded,
    }


def _band(next_jump: Forecast, last: int) -> dict[str, Any] | None:
    """The forecast in steps of the run; None where it is withheld."""
    if not np.isfinite(next_jump.median):
        return None
    return {
        "low": last + next_jump.low,
        "median": last + next_jump.median,
        "high": last + next_jump.high,
        "alarm": next_jump.alarm,
    }
