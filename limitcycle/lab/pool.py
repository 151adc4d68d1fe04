"""Tasks in worker processes, as many at once as there are workers; none falls with another.

A worker that is killed takes nothing along but what it was at. Memory is the likely reason, so from
then on there is one fewer at once, and its task is done once more by itself: when all others have
ended, or as the next one where only one is left at once anyway. If it was the only accident, there
are then as many at once as before.
"""

import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, cast

from limitcycle import forkserver


class Task(NamedTuple):
    """What a worker is asked: ``function(line, *arguments)``; see `limitcycle.forkserver.Line`."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class Event(NamedTuple):
    """What happened to a task, by its number.

    Attributes:
        kind: ``said``: its worker says ``content``; ``killed``: its worker was killed, and
            ``content`` says whether it is done once more; ``ended``: ``content`` came of it, a
            result or an exception, `Killed` and `Withdrawn` among them.
        task: the number.
        content: see ``kind``.
    """

    kind: Literal["said", "killed", "ended"]
    task: int
    content: Any = None


class Killed(Exception):
    """The workers that were at a task were killed, as often as it may be tried."""


class Withdrawn(Exception):
    """A task was not begun, or not tried again, because all was to stop."""


class Pool:
    """Workers and their tasks. As a context it leaves when all that was under way has ended.

    Ctrl-C stops the tasks and waits for them; once more, while they stop, it kills their workers.

    Args:
        tasks: to do, in this order.
        workers: processes at once, at most.
        tries: of a task whose worker is killed.
        fresh: each task has a process of its own.

    Attributes:
        at_once: processes at once by now.
    """

    def __init__(
        self, tasks: Sequence[Task], workers: int, *, tries: int = 2, fresh: bool = False
    ) -> None:
        self._tasks, self._tries, self._fresh = tasks, tries, fresh
        self._workers = self.at_once = workers
        self._waiting = deque(range(len(tasks)))
        self._again: deque[int] = deque()
        self._killed = [0] * len(tasks)
        self._at_work: dict[Connection, int] = {}
        self._idle: list[Connection] = []
        self._numbers: dict[Connection, int] = {}  # of the workers' processes
        self._withdrawn: list[int] = []
        self._stopping = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        patient = not (self._stopping and isinstance(problem, KeyboardInterrupt))
        try:
            self.stop()
            if patient:
                self._wait_for_all()
        except KeyboardInterrupt:
            patient = False
            raise
        finally:
            if not patient:
                self._kill()
            for worker in [*self._at_work, *self._idle]:
                worker.close()

    def _wait_for_all(self) -> None:
        with contextlib.suppress(Exception):  # Ctrl-C may have cut a worker's word in two
            while self._at_work:
                self.events(None)

    def _kill(self) -> None:
        """End those at work at once: what they are at loses what is younger than its checkpoint."""
        for worker in self._at_work:
            if worker in self._numbers:  # else it has not begun, and finds that nobody asks
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._numbers[worker], signal.SIGKILL)

    @property
    def busy(self) -> bool:
        """Whether events are to come."""
        return bool(self._waiting or self._again or self._at_work or self._withdrawn)

    def waits(self, task: int) -> bool:
        """Whether a task that is to be tried again waits for others."""
        others_first = bool(self._waiting) and not self.again_next
        return others_first or bool(self._at_work) or self._again[0] != task

    @property
    def again_next(self) -> bool:
        """Whether a task is to be tried again before those that wait, and all is then as before."""
        return bool(self._again) and self.at_once == 1 and self._only_accident

    def stop(self) -> None:
        """Tell the workers to stop; what they are not at is withdrawn."""
        if self._stopping:
            return
        self._stopping = True
        self._withdrawn += [*self._waiting, *self._again]
        self._waiting.clear()
        self._again.clear()
        for worker in self._at_work:
            forkserver.tell_to_stop(worker)

    def events(self, seconds: float | None = None) -> list[Event]:
        """What has happened since the last time; where nothing has, wait so long (None: for ever).

        What a worker says comes in order, and before what came of its task.
        """
        withdrawn, self._withdrawn = self._withdrawn, []
        events = [Event("ended", task, Withdrawn()) for task in withdrawn]
        self._hand_out()
        while True:
            for worker in wait(list(self._at_work), 0 if events else seconds):
                events += self._heard(cast(Connection, worker))
            if events or seconds is not None or not self._at_work:
                return events

    @property
    def _only_accident(self) -> bool:
        """One may have had any reason; after a second one it is memory, for good."""
        return sum(self._killed) == 1

    def _hand_out(self) -> None:
        """Give tasks to workers; one that is tried again has the machine for itself."""
        while self._waiting and not self.again_next and len(self._at_work) < self.at_once:
            self._give(self._waiting.popleft())
        if not self._waiting:
            self._dismiss()
        if self._again and not self._at_work:
            self._give(self._again.popleft())

    def _give(self, task: int) -> None:
        worker = self._ready()
        self._at_work[worker] = task
        with contextlib.suppress(OSError):  # it is gone already; that is heard in a moment
            forkserver.ask(worker, *self._tasks[task])

    def _ready(self) -> Connection:
        """A worker that has nothing to do."""
        while self._idle:
            worker = self._idle.pop()
            if not worker.poll():
                return worker
            self._forget(worker)  # it has been ended
        return forkserver.new_worker()

    def _heard(self, worker: Connection) -> list[Event]:
        try:
            kind, content = worker.recv()
        except (EOFError, OSError):
            return self._lost(worker)
        if kind == forkserver.BEGUN:
            self._numbers[worker] = content
            return []
        if kind == forkserver.SAID:
            return [Event("said", self._at_work[worker], content)]
        task = self._at_work.pop(worker)
        if self._killed[task] and self._only_accident:
            self.at_once = self._workers
        if kind == forkserver.LEFT:
            self._forget(worker)
        else:
            self._idle.append(worker)
        if self._fresh or self._stopping:
            self._dismiss()
        return [Event("ended", task, content)]

    def _lost(self, worker: Connection) -> list[Event]:
        task = self._at_work.pop(worker)
        self._forget(worker)
        self._killed[task] += 1
        if self._stopping:  # nothing is begun any more, with whatever memory
            return [Event("killed", task, False), Event("ended", task, Withdrawn())]
        self.at_once = max(1, self.at_once - 1)
        if self._killed[task] == self._tries:
            return [Event("killed", task, False), Event("ended", task, Killed())]
        self._again.append(task)
        return [Event("killed", task, True)]

    def _dismiss(self) -> None:
        """Let the workers that have nothing to do go: they hold memory."""
        while self._idle:
            self._forget(self._idle.pop())

    def _forget(self, worker: Connection) -> None:
        worker.close()
        self._numbers.pop(worker, None)
