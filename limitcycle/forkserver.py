"""The process that imports torch once, and the workers that start from it.

It is reached by a pair of sockets that it inherits, and has no name in any file system, unlike the
fork server of ``multiprocessing``: a SIGKILL at any moment, of any process or all, leaves nothing
behind, and no other user can knock.

Nothing heavy is imported here, so that it can start before torch is imported in this process, too:
then both import at the same time.
"""

import atexit
import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from limitcycle.errors import UserError

_TRAINING = "limitcycle.lab.parallel"
# They come to all processes of a command; the command alone hears them, but for a worker's SIGTERM.
_DEAF_TO = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)

BEGUN, SAID, ENDED, LEFT = "begun", "said", "ended", "left"


class _Server(NamedTuple):
    """The running server, and whose it is: a forked child of ours needs one of its own."""

    process: "subprocess.Popen[bytes]"
    line: socket.socket
    owner: int


class _Surroundings(NamedTuple):
    """What a worker takes over with a task: the server was started some time ago."""

    folder: str
    path: list[str]
    environment: dict[str, str]


_server: _Server | None = None


def start(*modules: str) -> None:
    """Start the fork server where it does not run yet.

    Args:
        modules: what it imports besides what training needs.

    Raises:
        UserError: this system cannot fork.
    """
    global _server
    if not hasattr(os, "fork"):
        raise UserError("several runs at once need Linux or macOS: give one run at a time")
    if _server is not None and _server.owner == os.getpid() and _server.process.poll() is None:
        return
    stop()
    mine, its = socket.socketpair()
    with its:
        program = (
            f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; "
            f"serve({its.fileno()}, {(_TRAINING, *modules)!r})"
        )
        warnings = [f"-W{option}" for option in sys.warnoptions]
        with _deaf():
            process = subprocess.Popen(
                [sys.executable, *warnings, "-c", program],
                stdin=subprocess.DEVNULL,
                pass_fds=[its.fileno()],
            )
            _server = _Server(process, mine, os.getpid())  # before a signal that waits is heard


def stop() -> None:
    """End the fork server; workers that are under way go on."""
    global _server
    server, _server = _server, None
    if server is None:
        return
    server.line.close()
    if server.owner == os.getpid():
        server.process.kill()  # it may be importing, and has nothing to lose
        server.process.wait()


atexit.register(stop)


def new_worker() -> Connection:
    """Start a worker: the way to speak to it, at whose end it is gone, or goes when it is closed.

    It says `BEGUN` and the number of its process, and is handed tasks with `ask`. While it is at
    one it says `SAID` and what the task says, as often as that likes, then `ENDED` and what came of
    it: the result or the exception. `LEFT` is the same of a worker that takes no more tasks, for it
    had a SIGTERM.
    """
    start()
    mine, its = Pipe()
    with its:
        try:
            _send(its)
        except OSError:  # the server has been killed this very moment
            stop()
            start()
            _send(its)
    return mine


def ask(worker: Connection, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
    """Have an idle worker call ``function(line, *arguments)``; see `Line`.

    Raises:
        OSError: the worker is gone.
    """
    here = _Surroundings(os.getcwd(), list(sys.path), dict(os.environ))  # noqa: PTH109 - light
    worker.send_bytes(pickle.dumps((here, pickle.dumps((function, tuple(arguments))))))


def tell_to_stop(worker: Connection) -> None:
    """Have a worker stop what it does, if the task asks `Line.told_to_stop`, and leave."""
    with contextlib.suppress(OSError):
        worker.send_bytes(b"")


class Line:
    """From a worker to whoever asked it."""

    def __init__(self, channel: Connection) -> None:
        self._channel = channel
        self._terminated = False
        self._at_task = False

    def say(self, what: object) -> None:
        """Tell how it is going; where nobody is left to hear it, nothing happens."""
        with contextlib.suppress(OSError):
            self._channel.send((SAID, what))

    def told_to_stop(self) -> bool:
        """Whether to stop: somebody says so, or nobody is left. Nothing else comes meanwhile."""
        return self._terminated or self._channel.poll()

    def serve(self) -> None:
        """Do one task after the other, until nobody asks any more, or a SIGTERM came."""
        self._channel.send((BEGUN, os.getpid()))
        while not self._terminated and (task := self._channel.recv_bytes()):
            self._at_task = True
            came = _done(self, task)
            self._channel.send((LEFT if self._terminated else ENDED, came))
            self._at_task = False

    def hear_sigterm(self) -> None:
        """Have a SIGTERM stop the task, as if it were told to; without a task it is the end."""

        def terminate(_number: int, _frame: object) -> None:
            self._terminated = True
            if not self._at_task:
                os._exit(0)

        signal.signal(signal.SIGTERM, terminate)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])


def serve(number: int, modules: Sequence[str]) -> None:
    """What the server does: import, then start a worker for each channel that comes.

    Args:
        number: of the socket on which channels come; at its end the server ends.
        modules: to import.
    """
    for name in modules:
        with contextlib.suppress(Exception, SystemExit):  # who asks for it hears of that
            import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody has to wait for workers that ended
    with socket.socket(fileno=number) as line:
        while True:
            word, channels, *_ = socket.recv_fds(line, 1, 1)
            if not word:
                return
            for channel in channels:
                # Without memory for a worker its channel ends, as if it had been killed.
                with contextlib.suppress(OSError):
                    if os.fork() == 0:
                        line.close()
                        _live(Connection(channel))
                os.close(channel)


def _live(channel: Connection) -> None:
    """What a worker does."""
    try:
        os.set_inheritable(channel.fileno(), False)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        line = Line(channel)
        line.hear_sigterm()
        line.serve()
    except (EOFError, OSError):
        pass  # nobody is left
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def _done(line: Line, task: bytes) -> Any:
    """What comes of a task: its result, or the exception that it ended with."""
    try:
        here, asked = pickle.loads(task)
        os.chdir(here.folder)
        sys.path[:] = here.path
        os.environ.clear()
        os.environ.update(here.environment)
        function, arguments = pickle.loads(asked)  # which imports what the server could not
        return function(line, *arguments)
    except BaseException as problem:
        problem.add_note(f"In a worker:\n{traceback.format_exc()}")
        return _that_travels(problem)


def _that_travels(problem: BaseException) -> Exception:
    """``problem``, or what can be said of it where it would not arrive whole."""
    with contextlib.suppress(Exception):
        pickle.loads(pickle.dumps(problem))
        if isinstance(problem, Exception):
            return problem
    return RuntimeError(f"{type(problem).__name__}: {problem}")


def _send(channel: Connection) -> None:
    assert _server is not None, "it has been started"
    socket.send_fds(_server.line, [b"w"], [channel.fileno()])


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Inside, signals of a terminal wait; processes that are started are deaf to them for good."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, _DEAF_TO)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
