"""Signals that ask a command to stop: Ctrl-C, SIGTERM, and SIGHUP unless it is ignored (nohup).

Nothing heavy is imported, so that they are heard from the first moment.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

INTERRUPTED = 130
GOES_ON = "interrupted; the same command goes on"


@contextlib.contextmanager
def heard_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Inside, ``handler`` hears the signals that ask for a stop."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    former = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler_before in former.items():
            signal.signal(number, handler_before)


@contextlib.contextmanager
def like_ctrl_c() -> Iterator[None]:
    """Inside, each of them is a KeyboardInterrupt; a closing terminal sends several, one counts."""
    heard = False

    def interrupt(number: int, _frame: FrameType | None) -> None:
        nonlocal heard
        if heard and number != signal.SIGINT:
            return
        heard = True
        raise KeyboardInterrupt

    with heard_by(interrupt):
        yield


def leave(_number: int, _frame: FrameType | None) -> None:
    """End this process at once: while modules load, an import may swallow an exception."""
    server = sys.modules.get("limitcycle.forkserver")
    if server is not None and hasattr(server, "stop"):
        server.stop()
    with contextlib.suppress(OSError):  # the terminal may be gone
        os.write(2, f"limitcycle: {GOES_ON}\n".encode())
    os._exit(INTERRUPTED)
