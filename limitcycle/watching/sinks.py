"""Where rows go: anything that can be called with the new rows of both tables."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from weakref import WeakSet

import pandas as pd

from limitcycle.errors import UserError
from limitcycle.reading import Diagnosis, Forecast
from limitcycle.reading.kept import DIAGNOSIS_FILE
from limitcycle.record import WatchedFolder
from limitcycle.record.described import read_info
from limitcycle.record.locked import refuse_foreign
from limitcycle.record.parts import read_parts
from limitcycle.record.watched import refuse_of_the_lab
from limitcycle.symmetry import Symmetries
from limitcycle.watching.loggers import MLflow, TensorBoard, WandB
from limitcycle.watching.notice import notice

SECONDS = 30.0  # between two parts of a table: few files, and little lost in a crash
ROWS = 20_000


@runtime_checkable
class Sink(Protocol):
    """What watching writes to.

    A plain function of two frames will do, too: ``sink(steps, groups)`` with the new rows of
    `limitcycle.record.STEP_COLUMNS` and `GROUP_COLUMNS`.
    """

    def __call__(self, steps: pd.DataFrame, groups: pd.DataFrame) -> None:
        """Take the rows of a block of steps, oldest first."""

    def close(self, state: str, step: int, reason: str, diagnosis: Diagnosis | None) -> None:
        """Write what is left.

        Args:
            state: ``done``, ``stopped`` or ``failed``.
            step: number of updates made.
            reason: why it was stopped or failed.
            diagnosis: what the run did; None where nothing was measured.
        """


@runtime_checkable
class Logger(Sink, Protocol):
    """A sink that is told what is watched before its first rows."""

    def begin(self, info: Mapping[str, Any], symmetries: Symmetries, step: int) -> None:
        """Open what has to be opened.

        Args:
            info: model, optimizer and machine, as in ``run.json``.
            symmetries: of the model.
            step: of the first row to come; above 0 where a job goes on.
        """


@runtime_checkable
class Foretold(Protocol):
    """A sink that is told the forecast of the next jump, too, with every block of rows."""

    def foretell(self, step: int, forecast: Forecast) -> None:
        """Take the forecast.

        Args:
            step: of the last row that it rests on.
            forecast: of `limitcycle.Watch.forecast`.
        """


class Parquet:
    """A run folder in the lab's format: `limitcycle.load`, ``report`` and ``diagnose`` read it.

    Args:
        folder: made if missing; one that holds a watched run is gone on with.

    Raises:
        UserError: it holds something else, is in use, or cannot be written.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder: WatchedFolder | None = None
        self.path = Path(folder)
        self._waiting: list[tuple[pd.DataFrame, pd.DataFrame]] = []
        self._written = time.monotonic()

    def check(self) -> None:
        """Refuse what is no folder for a watched run, before anything is trained.

        Raises:
            UserError: it holds something else.
        """
        if any(other.path.resolve() == self.path.resolve() for other in _OPEN):
            raise UserError(
                f"an earlier watch of this process still writes into {self.path}: close() it, or "
                "choose another folder (in a notebook use `with lc.watch(…)`)"
            )
        if (self.path / "run.json").is_file():
            refuse_of_the_lab(self.path, read_info(self.path))
        elif self.path.is_dir():
            refuse_foreign(self.path)

    def open(self, info: Mapping[str, Any], symmetries: Mapping[str, Any]) -> int:
        """Claim the folder; the step after the last one that it holds."""
        self._folder = WatchedFolder(self.path, info, notice)
        _OPEN.add(self)
        self._folder.write_json("symmetries.json", symmetries)
        return self._folder.next_step

    def go_back(self, step: int) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
        """Go on from ``step``: drop the rows from there on; both tables before it, in parts."""
        assert self._folder is not None
        self._folder.go_back(step)
        return self._folder.blocks()

    def read(self, table: str) -> pd.DataFrame:
        """The whole of a table (``steps`` or ``groups``), that which waits included."""
        self.flush()
        return read_parts(self.path / table)

    def add_info(self, **content: Any) -> None:
        """Add to ``run.json``."""
        if self._folder is not None:
            self._folder.add_info(**content)

    def __call__(self, steps: pd.DataFrame, groups: pd.DataFrame) -> None:
        """Keep rows, and write them when there are enough or time has passed."""
        self._waiting.append((steps, groups))
        many = sum(len(frame) for _, frame in self._waiting) >= ROWS
        if many or time.monotonic() - self._written > SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        if self._waiting and self._folder is not None:
            steps, groups = zip(*self._waiting, strict=True)
            self._folder.append(
                pd.concat(steps, ignore_index=True), pd.concat(groups, ignore_index=True)
            )
        self._waiting, self._written = [], time.monotonic()

    def keep(self, diagnosis: Diagnosis) -> None:
        """Write the reading of the rows that are written, so that it can be read tomorrow."""
        if self._folder is not None:
            self._folder.write_json(DIAGNOSIS_FILE, diagnosis.to_dict())

    def close(self, state: str, step: int, reason: str, diagnosis: Diagnosis | None = None) -> None:
        """Write what is left and let go of the folder."""
        if self._folder is None:
            return
        _OPEN.discard(self)
        with self._folder:
            self.flush()
            if diagnosis is not None:
                self.keep(diagnosis)
            self._folder.set_status(state, step, reason)  # type: ignore[arg-type]
        self._folder = None


_OPEN: WeakSet[Parquet] = WeakSet()  # those of this process that hold their folder


class Sinks:
    """Several sinks as one. One that fails is named and left out: it must not end a training."""

    def __init__(self, given: Any) -> None:
        listed = given if isinstance(given, list | tuple) else [] if given is None else [given]
        self._sinks = [_sink(each) for each in listed]

    @property
    def folder(self) -> Parquet | None:
        """The run folder among them, if any."""
        return next((sink for sink in self._sinks if isinstance(sink, Parquet)), None)

    def check(self) -> None:
        """Refuse a folder that cannot be watched into.

        Raises:
            UserError: it holds something else.
        """
        if self.folder is not None:
            self.folder.check()

    def open(
        self,
        info: Mapping[str, Any],
        symmetries: Symmetries,
        go_on: Callable[[Parquet, int], None],
    ) -> None:
        """Claim the folder, if there is one, and go on behind what it holds."""
        folder = self.folder
        if folder is not None:
            self._try(folder, lambda: go_on(folder, folder.open(info, symmetries.to_dict())))

    def add_info(self, **content: Any) -> None:
        """Have the run folder's description brought up to date, if there is one."""
        folder = self.folder
        if folder is not None:
            self._try(folder, lambda: folder.add_info(**content))

    def begin(self, info: Mapping[str, Any], symmetries: Symmetries, step: int) -> None:
        """Tell those that want to know what is watched."""
        for sink in list(self._sinks):
            if isinstance(sink, Logger):
                self._try(sink, lambda sink=sink: sink.begin(info, symmetries, step))  # type: ignore[misc]

    def __call__(self, steps: pd.DataFrame, groups: pd.DataFrame) -> None:
        """Hand the rows to every sink."""
        for sink in list(self._sinks):
            self._try(sink, lambda sink=sink: sink(steps, groups))  # type: ignore[misc]

    def foretell(self, step: int, forecast: Callable[[], Forecast]) -> None:
        """Tell the forecast to those that want to know."""
        asking = [sink for sink in self._sinks if isinstance(sink, Foretold)]
        if not asking:
            return
        found = forecast()
        for sink in asking:
            self._try(sink, lambda sink=sink: sink.foretell(step, found))  # type: ignore[misc]

    def flush(self) -> None:
        """Have the run folder written, if there is one."""
        folder = self.folder
        if folder is not None:
            self._try(folder, folder.flush)

    def keep(self, diagnosis: Callable[[], Diagnosis]) -> None:
        """Have the reading kept beside the run folder's rows, if there is one."""
        folder = self.folder
        if folder is None:
            return
        with contextlib.suppress(Exception):  # rows that cannot be judged are kept all the same
            found = diagnosis()
            self._try(folder, lambda: folder.keep(found))

    def close(self, state: str, step: int, reason: str, diagnosis: Diagnosis | None) -> None:
        """Close those that can be closed."""
        for sink in self._sinks:
            if isinstance(sink, Sink):
                self._try(sink, lambda sink=sink: sink.close(state, step, reason, diagnosis))  # type: ignore[misc]

    def _try(self, sink: Any, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as problem:  # whatever a logger of others raises
            self._sinks = [other for other in self._sinks if other is not sink]
            kind = type(problem).__name__
            notice(f"a sink failed ({kind}: {problem}) and is left out; the training goes on")


def _sink(given: Any) -> Callable[[pd.DataFrame, pd.DataFrame], None]:
    if isinstance(given, str | Path):
        return Parquet(given)
    if callable(given):
        return given  # type: ignore[no-any-return]
    if hasattr(given, "add_scalar"):
        return TensorBoard(given)
    package = type(given).__module__.partition(".")[0]
    if package in ("wandb", "mlflow"):
        return WandB(given) if package == "wandb" else MLflow(given)
    raise UserError(
        "a sink is a folder, a sink of limitcycle.watching, a SummaryWriter, a run of W&B or "
        f"MLflow, or a function of two frames, not {type(given).__name__}"
    )
