"""What is printed arrives, whatever the terminal's alphabet; where it does not, that is said."""

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO, cast

_NAMES = {"stdout": "standard output", "stderr": "standard error"}


class _Lasting(io.FileIO):
    """A descriptor of ours. What it does not take, on a full disk say, is dropped and noted."""

    problem: OSError | None = None

    def write(self, data: object) -> int:
        """As `io.FileIO.write`; only a reader who has gone is an error."""
        try:
            return super().write(data)  # type: ignore[arg-type]
        except (BrokenPipeError, BlockingIOError):
            raise
        except OSError as problem:
            self.problem = problem
            return len(memoryview(data))  # type: ignore[arg-type]


@contextmanager
def lasting_streams() -> Iterator[Callable[[], str]]:
    """Inside, printing never fails; yields what says which stream did not take all, in a line.

    A closed stream is like the null device. Both spell out what their encoding lacks: ``\\u03c1``
    for ρ where that is ASCII; a path may be no UTF-8 either.
    """
    former = sys.stdout, sys.stderr
    _open_closed()
    raw = {name: _made_lasting(name) for name in _NAMES}

    def trouble() -> str:
        for name, text in _NAMES.items():
            getattr(sys, name).flush()
            file = raw[name]
            if file is not None and file.problem is not None:
                return f"{text} cannot be written: {file.problem.strerror}"
        return ""

    try:
        yield trouble
    finally:
        sys.stdout, sys.stderr = former


def _open_closed() -> None:
    """Open the null device where a standard descriptor is closed: no file may take its number."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)


def _made_lasting(name: str) -> _Lasting | None:
    """Put a stream that lasts in the place of the process's own; None: somebody put another."""
    stream = cast(TextIO | None, getattr(sys, name))
    if stream is None:
        nowhere = open(os.devnull, "w", errors="backslashreplace")  # noqa: SIM115, PTH123
        setattr(sys, name, nowhere)
        return None
    if not isinstance(stream, io.TextIOWrapper):
        return None
    if stream is not getattr(sys, f"__{name}__"):
        stream.reconfigure(errors="backslashreplace")
        return None
    stream.flush()
    file = _Lasting(stream.fileno(), "w", closefd=False)
    lasting = io.TextIOWrapper(
        io.BufferedWriter(file),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
    setattr(sys, name, lasting)
    return file
