"""How far several runs are, in a line; and that line every half minute, where no bar can move."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from limitcycle.lab import Progress

EVERY_SECONDS = 30.0


@contextmanager
def every_half_minute(
    line: Callable[[], str],
    tell: Callable[[str], None],
    pause: Callable[[float], bool] | None = None,
) -> Iterator[None]:
    """Inside, ``tell`` hears ``line()`` every half minute, however long nothing else happens.

    Args:
        line: how things stand.
        tell: prints it; called from a thread.
        pause: waits so many seconds; True: it is over. None: by the clock.
    """
    over = threading.Event()
    wait = pause or over.wait

    def talk() -> None:
        while not wait(EVERY_SECONDS):
            tell(line())

    talking = threading.Thread(target=talk, daemon=True)
    talking.start()
    try:
        yield
    finally:
        over.set()
        talking.join()


class Standing:
    """What is known of runs under way.

    Args:
        names: of the runs.
        clock: seconds.
    """

    def __init__(self, names: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._names = names
        self._clock, self._began = clock, clock()
        self._now: dict[int, Progress] = {}
        self._first: dict[int, int] = {}  # the step at which a run was first heard of
        self._last = -1

    def hear(self, index: int, now: Progress) -> None:
        """Take in what a run says."""
        self._first.setdefault(index, now.step)
        self._now[index], self._last = now, index

    def line(self) -> str:
        """Runs done, time left, and the loss of the run last heard of."""
        now = self._now.get(self._last)
        if now is None:
            return "starting …"
        run = f"step {now.step:,} of {now.total:,}, loss {now.loss:.2e}"
        if len(self._names) == 1:
            return f"{run}{self._left()}"
        done = sum(each.step >= each.total for each in self._now.values())
        whole = f"{done} of {len(self._names)} runs done{self._left()}"
        return f"{whole}; {self._names[self._last]}: {run}"

    def _left(self) -> str:
        """The time that is left, as if runs not heard of were like the others."""
        made = sum(now.step - self._first[index] for index, now in self._now.items())
        totals = [now.total for now in self._now.values()]
        unheard = len(self._names) - len(totals)
        ahead = sum(now.total - now.step for now in self._now.values())
        ahead += unheard * sum(totals) // len(totals)
        if not made:
            return ""
        return f", about {duration((self._clock() - self._began) * ahead / made)} left"


def duration(seconds: float) -> str:
    """A time in words: 45 s, 12 min, 3.4 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
