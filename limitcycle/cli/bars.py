"""Progress of several runs at once: a bar each in a terminal, elsewhere a line now and then."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.table import Column, Table

from limitcycle.checks import printable
from limitcycle.cli.signals import heard_by
from limitcycle.cli.standing import Standing, every_half_minute
from limitcycle.lab import Progress

_STREAMS = (0, 1, 2)
_LEAST_NAME = 8
_ENDLESS = 10_000  # columns


@contextmanager
def bars(
    names: Sequence[str], console: Console, *, overall: bool = False
) -> Iterator[Callable[[int, Progress], None]]:
    """Show a bar a name; yields the function to call with (index, progress).

    ``overall``: a bar for the whole on top, and the others only while their runs are under way.
    """
    if not console.is_terminal:
        standing = Standing(names)
        with every_half_minute(standing.line, lambda line: say(console, line)):
            yield standing.hear
        return
    with FittedBars(console) as shown:
        blank: dict[str, Any] = dict.fromkeys(("loss", "norm", "effective_lr"), "")
        whole = shown.add_task("all runs", total=len(names), visible=overall, **blank)
        tasks = [shown.add_task(name, total=None, visible=False, **blank) for name in names]

        def update(index: int, now: Progress) -> None:
            shown.update(
                tasks[index],
                completed=now.step,
                total=now.total,
                visible=not overall or now.step < now.total,
                loss=f"loss {now.loss:8.2e}",
                norm=f"ρ {now.norm:6.2f}",
                effective_lr=f"η/ρ² {now.effective_lr:8.2e}",
            )
            if overall:
                shown.update(whole, completed=sum(task.finished for task in shown.tasks[1:]))

        yield update


class FittedBars(Bars):
    """Bars of the first columns, as many as the console is wide enough for: loss and time stay."""

    def __init__(self, console: Console) -> None:
        self._room = console
        self._name = Column(no_wrap=True, overflow="ellipsis")
        self._ranked: tuple[ProgressColumn, ...] = (
            TextColumn("{task.description}", markup=False, table_column=self._name),
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(),
            MofNCompleteColumn(),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[norm]}"),
            TextColumn("{task.fields[effective_lr]}"),
        )
        super().__init__(*self._ranked, console=console, refresh_per_second=5)

    def make_tasks_table(self, tasks: Iterable[Task]) -> Table:
        """The table of what is shown; the name gives way before loss and time do."""
        shown = [task for task in tasks if task.visible]
        self._name.max_width = None
        if not shown:
            return super().make_tasks_table(shown)
        endless = self._room.options.update(width=_ENDLESS)
        for count in range(len(self._ranked), 2, -1):
            self.columns = self._ranked[:count]
            table = super().make_tasks_table(shown)
            wide = self._room.measure(table, options=endless).maximum - self._room.width
            if wide <= 0:
                return table
        longest = max(cell_len(task.description) for task in shown)
        self._name.max_width = max(_LEAST_NAME, longest - wide)
        return super().make_tasks_table(shown)


@contextmanager
def interruptible(console: Console) -> Iterator[Callable[[], bool]]:
    """Ctrl-C asks for a clean stop; a second one ends at once. Yields "was it pressed?".

    So do SIGTERM and SIGHUP, however often they come: a terminal that closes sends several. SIGHUP
    is left alone where it is ignored, as under nohup.
    """
    pressed = threading.Event()
    terminals = [number for number in _STREAMS if os.isatty(number)]

    def ask(number: int, _frame: FrameType | None) -> None:
        _forget_closed(terminals)
        if pressed.is_set():
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        pressed.set()
        console.print("stopping with a checkpoint (Ctrl-C again: at once) …")

    with heard_by(ask):
        yield pressed.is_set


def _forget_closed(terminals: Sequence[int]) -> None:
    """Write into nothing instead of a terminal that is gone, which would be an error each time."""
    closed = [number for number in terminals if not os.isatty(number)]
    if closed:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in closed:
            os.dup2(nowhere, number)
        os.close(nowhere)


def say(console: Console, text: str) -> None:
    """One line, whatever names in it hold: neither wrapped nor read as markup."""
    console.print(printable(text), soft_wrap=True, highlight=False, markup=False)
