"""A run's folder and its copy elsewhere, from which another machine can go on.

Copies are made in the order in which a run itself writes: the rows first, then the checkpoint that
covers them, then the pruning of older ones, the status last. So a machine that is lost in the
middle of a copy leaves one that opens at its newest whole checkpoint.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

from limitcycle.errors import RunError, UserError
from limitcycle.record.storage import Place, Stamp

_FIRST, _LAST = "run.json", "status.json"
_CLAIM = "writer"  # in a copy: the token of the one mirror that may write it
_ROWS = re.compile(r"(steps|epochs|groups)/\d+-\d+\.parquet")
# A large one is several files; the first in rank, whose name has no number, is written last.
_CHECKPOINT = re.compile(r"checkpoints/step-(?P<last>\d+)(?P<further>\.\d+-of-\d+)?\.safetensors")
_OTHER = re.compile(r"[^/]+\.json|snapshots/step-\d+(\.\d+-of-\d+)?\.safetensors")


class TakenOver(RunError):
    """The copy has become another's to write."""


class Mirror:
    """A run's folder and its copy, for the one who trains the run.

    Args:
        folder: the run's folder on this machine.
        copy: where it is copied to.
        token: of `claim`. A machine that was given up for lost may still be writing; its token is
            void, so it cannot spoil what another goes on with.

    All methods raise RunError where the copy cannot be reached, TakenOver where it has become
    another's.
    """

    def __init__(self, folder: Path, copy: Place, token: str) -> None:
        self._folder, self._copy, self._token = Place.local(folder), copy, token
        self._known: dict[str, Stamp] = {}

    def pull(self) -> None:
        """Bring what the copy holds here."""
        with self._copy.failing():
            self._check_claim()
            copy_run(self._copy, self._folder, {})
            self._known = _listing(self._folder)

    def push(self) -> None:
        """Make the copy what the folder is; what this mirror brought there before is left out."""
        with self._copy.failing():
            self._check_claim()
            copy_run(self._folder, self._copy, self._known)

    def _check_claim(self) -> None:
        if not self._copy.has(_CLAIM):
            raise UserError(
                f"storage {self._copy.name} is not what it is where the runs are given out: give a "
                "place that all machines share"
            )
        if self._copy.read(_CLAIM).decode() != self._token:
            raise TakenOver(f"another command has taken over the run in {self._copy.name}")


def claim(copy: Place) -> str:
    """Become the one who may write a copy: the token for a `Mirror`; former ones are void.

    Raises:
        RunError: the copy cannot be reached.
    """
    token = uuid4().hex
    with copy.failing():
        copy.write(_CLAIM, token.encode())
    return token


def completed(place: Place) -> int:
    """Updates that the newest checkpoint of the run in ``place`` covers; 0 where there is none.

    Raises:
        RunError: the place cannot be reached.
    """
    with place.failing():
        matches = [_CHECKPOINT.fullmatch(name) for name in place.files()]
    whole = [match for match in matches if match and not match["further"]]
    return max((int(match["last"]) + 1 for match in whole), default=0)


def copy_run(source: Place, target: Place, known: dict[str, Stamp]) -> None:
    """Make ``target`` the run that is in ``source``; nothing where that holds none.

    Args:
        source, target: the run's folder and its copy, or the other way round.
        known: files of ``source`` that ``target`` is known to have; it is brought up to date.
    """
    here = _listing(source)
    if _FIRST not in here or source.is_same(target):
        return
    there = _listing(target)
    # Of a checkpoint that somebody else left nobody knows whether the rows here go with it.
    target.remove(n for n in _checkpoints(there) if n not in known)
    dropped = [n for n in there if _ROWS.fullmatch(n) and n not in here]
    if dropped:  # the status there promises them
        target.remove([_LAST, *dropped])
        known.pop(_LAST, None)
    changed = sorted((n for n in here if known.get(n) != here[n]), key=_rank)
    for name in changed:
        if name == _LAST:
            target.remove(n for n in _checkpoints(there) if n not in here)
        target.write(name, source.read(name))
        known[name] = here[name]


def _checkpoints(names: Iterable[str]) -> list[str]:
    """Those of ``names`` that are of checkpoints, in the order in which they may be removed."""
    return sorted((n for n in names if _CHECKPOINT.fullmatch(n)), reverse=True)  # ".s" before ".2"


def _rank(name: str) -> tuple[bool, bool, bool, str]:
    """The order of copying: the description, what there is besides, checkpoints, the status."""
    return name != _FIRST, name == _LAST, _CHECKPOINT.fullmatch(name) is not None, name


def _listing(place: Place) -> dict[str, Stamp]:
    """The run's files: a folder may hold its owner's, too."""
    kinds = (_ROWS, _CHECKPOINT, _OTHER)
    return {n: s for n, s in place.files().items() if any(kind.fullmatch(n) for kind in kinds)}
