"""Folders on file systems of any kind: this machine's, a shared one, S3, GCS, HDFS.

Files are whole or absent there, too: an object store shows an object when it is complete,
elsewhere it is written beside and put in its place.
"""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Self
from uuid import uuid4

import pyarrow as pa
from pyarrow import fs

from limitcycle.errors import RunError, UserError
from limitcycle.record.files import TEMPORARY, write_whole

_OBJECT_STORES = ("s3", "gcs", "abfs")


class Stamp(NamedTuple):
    """What tells a file that was written again."""

    size: int
    modified: int | None


class Place(NamedTuple):
    """A folder on a file system of any kind; ``name`` is what messages call it.

    Methods raise what the file system raises (OSError, pyarrow.ArrowException) unless they say
    otherwise; `failing` turns that into one line.
    """

    system: fs.FileSystem
    path: str
    name: str

    @classmethod
    def local(cls, path: Path) -> Self:
        """A folder of this machine."""
        return cls(fs.LocalFileSystem(), str(path.absolute()), str(path))

    @classmethod
    def of(cls, uri: str) -> Self:
        """The place that a path or URI names.

        Raises:
            UserError: there is no such kind of place.
        """
        located = uri if "://" in uri else str(Path(uri).absolute())
        try:
            system, path = fs.FileSystem.from_uri(located)
        except (pa.ArrowException, OSError, ValueError) as problem:
            raise UserError(
                f"storage {uri!r} cannot be used ({_line(problem)}): give a folder that all "
                "machines share, or s3://…, gs://…, hdfs://…"
            ) from None
        return cls(system, path.rstrip("/"), uri)

    @contextlib.contextmanager
    def failing(self) -> Iterator[None]:
        """Turn what the file system refuses into one clear line.

        Raises:
            RunError: that line.
        """
        try:
            yield
        except (pa.ArrowException, OSError) as problem:
            raise RunError(
                f"storage {self.name} failed ({_line(problem)}): what it holds is kept, the same "
                "command goes on"
            ) from None

    def check_writable(self) -> None:
        """Make the folder, write into it, and take that away.

        Raises:
            UserError: that is refused.
        """
        probe = f"{uuid4().hex}{TEMPORARY}"
        try:
            self.system.create_dir(self.path, recursive=True)
            _fill(self.system, f"{self.path}/{probe}", b"limitcycle")
            self.system.delete_file(f"{self.path}/{probe}")
        except (pa.ArrowException, OSError) as problem:
            raise UserError(f"storage {self.name} cannot be written: {_line(problem)}") from None

    def below(self, name: str) -> Self:
        """A folder in this one; its name leads to it, too, as this one's does."""
        named, mark, options = self.name, "", ""
        if "://" in named:
            named, mark, options = named.partition("?")
        below = f"{named.rstrip('/')}/{name}{mark}{options}"
        return self._replace(path=f"{self.path}/{name}", name=below)

    def is_same(self, other: Self) -> bool:
        """Whether both are one folder of this machine."""
        if not all(isinstance(each.system, fs.LocalFileSystem) for each in (self, other)):
            return False
        mine, theirs = Path(self.path), Path(other.path)
        return mine.exists() and theirs.exists() and mine.samefile(theirs)

    def files(self) -> dict[str, Stamp]:
        """The files in the folder and below, by their path in it; none where it is missing."""
        selector = fs.FileSelector(self.path, allow_not_found=True, recursive=True)
        return {
            info.path.removeprefix(self.path).lstrip("/"): Stamp(info.size, info.mtime_ns)
            for info in self.system.get_file_info(selector)
            if info.is_file
        }

    def has(self, name: str) -> bool:
        """Whether there is a file of that path."""
        return bool(self.system.get_file_info(f"{self.path}/{name}").is_file)

    def read(self, name: str) -> bytes:
        """A file's content."""
        with self.system.open_input_stream(f"{self.path}/{name}") as stream:
            content: bytes = stream.read()
        return content

    def write(self, name: str, content: bytes) -> None:
        """Write a file that is whole or absent; folders on its way are made."""
        path = f"{self.path}/{name}"
        if self.system.type_name in _OBJECT_STORES:
            _fill(self.system, path, content)
            return
        self.system.create_dir(path.rpartition("/")[0], recursive=True)
        if isinstance(self.system, fs.LocalFileSystem):
            write_whole(Path(path), lambda file: file.write(content))
            return
        beside = f"{path}.{uuid4().hex}{TEMPORARY}"
        _fill(self.system, beside, content)
        self.remove([name])  # not every file system puts one file in place of another
        self.system.move(beside, path)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; those that are missing are passed over."""
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                self.system.delete_file(f"{self.path}/{name}")


def _fill(system: fs.FileSystem, path: str, content: bytes) -> None:
    with system.open_output_stream(path) as stream:
        stream.write(content)


def _line(problem: BaseException) -> str:
    return next(iter(str(problem).splitlines()), type(problem).__name__)
