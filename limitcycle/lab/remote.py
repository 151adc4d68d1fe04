"""What a node of a cluster does: train one run in a temporary folder, and copy what it leaves.

The node may vanish at any moment. Then its folder is gone, too, and another node goes on from the
copy, which opens at the last checkpoint that was copied.
"""

import os
import platform
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import Future, wait
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from limitcycle._version import __version__
from limitcycle.errors import NonFiniteError, RunError, UserError
from limitcycle.lab import machine
from limitcycle.lab.parallel import Outcome
from limitcycle.lab.training import Progress, train
from limitcycle.record import Run
from limitcycle.record.checkpoints import files_of, list_checkpoints
from limitcycle.record.described import read_status
from limitcycle.record.files import write_json
from limitcycle.record.mirror import Mirror, TakenOver
from limitcycle.record.storage import Place

_TOLD_SECONDS = 0.5  # between two words of a task: a small net makes hundreds of blocks a second
_FAREWELL_SECONDS = 5.0
_PAUSES = (1.0, 5.0, 25.0)  # seconds before the last copy of a run is tried again
_START = "start"  # in a run's copy: the checkpoint that it starts from, and whose that is


class Task(NamedTuple):
    """A run, and all that a node has to know of it.

    Attributes:
        number: of its job.
        run: what to train.
        out: its folder on the machine that gives it out, which messages name.
        copy: the URI of its copy.
        token: with which that may be written.
        settings: further arguments of `limitcycle.lab.train`.
        data: ``LIMITCYCLE_DATA`` where the node has no setting of its own.
        version: of limitcycle on the machine that gives it out.
    """

    number: int
    run: Run
    out: str
    copy: str
    token: str
    settings: Mapping[str, Any]
    data: str | None = None
    version: str = __version__


class Mailbox:
    """What tasks say until the sweep reads it, and whether they are to stop. An actor of Ray."""

    def __init__(self) -> None:
        self._letters: list[tuple[str, int, Any]] = []
        self._stop = False

    def tell(self, letters: list[tuple[str, int, Any]]) -> bool:
        """Leave letters (kind, number of the job, content); whether to stop."""
        self._letters += letters
        return self._stop

    def read(self, *, stop: bool) -> list[tuple[str, int, Any]]:
        """The letters since the last time; from now on tasks are told whether to stop."""
        letters, self._letters, self._stop = self._letters, [], stop
        return letters


def work(task: Task, mailbox: Any) -> Outcome:
    """Train a run on this node, going on from its copy, which gets everything that is kept."""
    machine.own_process()
    if task.data and not os.environ.get("LIMITCYCLE_DATA"):
        os.environ["LIMITCYCLE_DATA"] = task.data
    line = _Line(task, mailbox)
    line.say("begun", None)
    with tempfile.TemporaryDirectory(prefix="limitcycle-") as here:
        outcome = _Attempt(task, Path(here), line).outcome()
        line.close()
        return outcome


class _Line:
    """To the mailbox. Nothing is waited for: Ray gives the CPU of a task that waits to another."""

    def __init__(self, task: Task, mailbox: Any) -> None:
        self._number, self._mailbox = task.number, mailbox
        self._reply: Future[bool] | None = None
        self._stop = False
        self.said = 0.0  # when it was last spoken on, by the monotonic clock

    def say(self, kind: str, content: Any) -> None:
        """Leave a letter."""
        self.told_to_stop()
        self._reply = self._mailbox.tell.remote([(kind, self._number, content)]).future()
        self.said = time.monotonic()

    def told_to_stop(self) -> bool:
        """Whether the last reply that came said so; where nobody is left to reply, too."""
        if self._reply is not None and self._reply.done():
            problem = self._reply.exception()
            gone = type(problem).__name__ == "ActorDiedError"  # not: unavailable for the moment
            self._stop = gone if problem else self._reply.result()
            self._reply = None
        return self._stop

    def close(self) -> None:
        """Wait a moment until the last letter is there."""
        if self._reply is not None:
            wait([self._reply], timeout=_FAREWELL_SECONDS)


class _Attempt:
    """One attempt at a run, in a folder that is removed afterwards."""

    def __init__(self, task: Task, here: Path, line: _Line) -> None:
        self._task, self._here, self._line = task, here, line
        self._folder = here / "run"
        self._copy = Place.of(task.copy)
        self._mirror = Mirror(self._folder, self._copy, task.token)
        self._copied: list[Path] = []

    def outcome(self) -> Outcome:
        """Do it; how it ended."""
        try:
            _check_version(self._task.version)
            self._mirror.pull()
            try:
                return self._train()
            finally:
                self._copy_at_last()
        except NonFiniteError as problem:
            return Outcome("failed", self._there(str(problem)), 1)
        except (RunError, UserError) as problem:
            text = f"on node {platform.node()}: {self._there(str(problem))}"
            return Outcome("failed", text, 2 if isinstance(problem, UserError) else 1)

    def _train(self) -> Outcome:
        loaded = train(
            fetch_start(self._task.run, self._copy, self._here / _START),
            self._folder,
            should_stop=self._line.told_to_stop,
            progress=self._progress,
            notice=self._notice,
            **self._task.settings,
        )
        return Outcome(str(loaded.status["state"]))

    def _progress(self, now: Progress) -> None:
        if time.monotonic() - self._line.said >= _TOLD_SECONDS or now.step == now.total:
            self._line.say("progress", now)
        newest = list_checkpoints(self._folder / "checkpoints")[-1:]
        if newest == self._copied:
            return
        self._copied = newest
        try:
            self._mirror.push()
        except TakenOver:
            raise
        except RunError as problem:  # with luck it is over by the next checkpoint
            self._notice(str(problem))

    def _copy_at_last(self) -> None:
        """Copy how the run ended, with patience: nothing comes after."""
        self._name_folder_there()
        for pause in _PAUSES:
            try:
                return self._mirror.push()
            except TakenOver:
                raise
            except RunError:
                time.sleep(pause)
        return self._mirror.push()

    def _name_folder_there(self) -> None:
        """Why a run failed may name its folder, which will be another one."""
        status = read_status(self._folder)
        if status:
            reason = self._there(status["reason"])
            write_json(self._folder / "status.json", {**status, "reason": reason})

    def _there(self, text: str) -> str:
        return text.replace(str(self._folder), self._task.out)

    def _notice(self, text: str) -> None:
        self._line.say("notice", self._there(text))


def leave_start(run: Run, copy: Place) -> None:
    """Leave the checkpoint that ``run`` starts from in its copy, with whose it is beside it.

    Raises:
        RunError: the copy cannot be reached.
        UserError: the checkpoint cannot be read.
    """
    if run.start_from is None:
        return
    path = Path(run.start_from).absolute()
    described = path.parent.parent / "run.json"
    if not described.exists():
        return  # nobody's: it is known by its path alone, so nodes have to have it there
    try:
        files = {described.name: described.read_bytes()}
        files |= {f"{path.parent.name}/{each.name}": each.read_bytes() for each in files_of(path)}
    except OSError as problem:
        raise UserError(f"start_from {run.start_from}: {problem.strerror}") from None
    with copy.failing():
        for name, content in files.items():
            copy.below(_START).write(name, content)


def fetch_start(run: Run, copy: Place, here: Path) -> Run:
    """``run``, starting from what `leave_start` left in its copy, brought into the folder ``here``.

    Raises:
        RunError: the copy cannot be reached.
    """
    source, target = copy.below(_START), Place.local(here)
    with source.failing():
        names = source.files() if run.start_from else {}
        for name in names:
            target.write(name, source.read(name))
    name = Path(run.start_from or "").name
    checkpoints = [str(here / each) for each in names if Path(each).name == name]
    return replace(run, start_from=checkpoints[0]) if checkpoints else run


def _check_version(version: str) -> None:
    if version != __version__:
        raise UserError(
            f"it has limitcycle {__version__}, the machine that gives out the runs {version}: "
            "install the same on both"
        )
