"""Progress of several runs at once: a bar each with loss, ρ and effective learning rate."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from limitcycle.lab import Progress

_STREAMS = (0, 1, 2)


@contextmanager
def bars(
    names: Sequence[str], console: Console, *, overall: bool = False
) -> Iterator[Callable[[int, Progress], None]]:
    """Show a bar a name; yields the function to call with (index, progress).

    ``overall``: a bar for the whole on top, and the others only while their runs are under way.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[measured]}"),
        TimeRemainingColumn(),
    )
    # Without a terminal a bar would only leave blank lines.
    quiet = not console.is_terminal
    with Bars(*columns, console=console, refresh_per_second=5, disable=quiet) as shown:
        whole = shown.add_task("all runs", total=len(names), measured="", visible=overall)
        tasks = [shown.add_task(name, total=None, measured="", visible=False) for name in names]

        def update(index: int, now: Progress) -> None:
            measured = f"loss {now.loss:8.2e}  ρ {now.norm:6.2f}  η/ρ² {now.effective_lr:8.2e}"
            shown.update(
                tasks[index],
                completed=now.step,
                total=now.total,
                measured=measured,
                visible=not overall or now.step < now.total,
            )
            if overall:
                shown.update(whole, completed=sum(task.finished for task in shown.tasks[1:]))

        yield update


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

    former = {number: signal.signal(number, ask) for number in _heard()}
    try:
        yield pressed.is_set
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _heard() -> list[signal.Signals]:
    """The signals that ask for a stop."""
    heard = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        heard.append(signal.SIGHUP)
    return heard


def _forget_closed(terminals: Sequence[int]) -> None:
    """Write into nothing instead of a terminal that is gone, which would be an error each time."""
    closed = [number for number in terminals if not os.isatty(number)]
    if closed:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in closed:
            os.dup2(nowhere, number)
        os.close(nowhere)


def say(console: Console, text: str) -> None:
    """One line of somebody's text: neither wrapped nor read as markup."""
    console.print(text, soft_wrap=True, highlight=False, markup=False)
