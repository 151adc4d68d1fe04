"""What takes long to make and is the same every time, kept in the user's cache.

A cache that cannot be used (no home, no permission, a full disk, a damaged file) costs time, not
the run.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def cache_folder() -> Path | None:
    """Where things are kept (``LIMITCYCLE_CACHE`` moves it); None where there is no home."""
    named = os.environ.get("LIMITCYCLE_CACHE")
    if named:
        return Path(named)
    above = os.environ.get("XDG_CACHE_HOME")
    if above:
        return Path(above) / "limitcycle"
    with contextlib.suppress(RuntimeError):  # no HOME, and a user whom the system does not know
        return Path.home() / ".cache" / "limitcycle"
    return None


def cached(
    name: str, make: Callable[[], T], read: Callable[[Path], T], write: Callable[[Path, T], object]
) -> T:
    """What the cache's file ``name`` holds, or else what ``make`` returns, kept there if possible.

    Args:
        name: path below the cache's folder.
        make: makes it anew; what it raises is raised.
        read: reads it from a file; may raise whatever it likes.
        write: writes it, whole or not at all; likewise.
    """
    folder = cache_folder()
    if folder is None:
        return make()
    path = folder / name
    with contextlib.suppress(Exception):
        return read(path)
    made = make()
    with contextlib.suppress(Exception):
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, made)
    return made
