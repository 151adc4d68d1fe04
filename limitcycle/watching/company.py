"""Several processes that watch one model together, because each holds a part of it.

A step costs no communication: every process measures its own part. After a number of rows that all
have agreed on, the first one's wish, one sum over the processes makes the rows. Nothing else waits
for another process: asking for a table on one of them does not, and closing leaves what is not
added up yet for the first process, which waits for it no longer than `CLOSING`.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from limitcycle.errors import UserError
from limitcycle.measure import Together
from limitcycle.sharded import (
    Block,
    Part,
    Parts,
    Pending,
    Summed,
    Wire,
    WireError,
    dealt,
    held_here,
)
from limitcycle.sharded.fsdp1 import place_here, whole_shapes
from limitcycle.watching.buffer import CAPACITY, Row
from limitcycle.watching.groups import Watched

FIRST_BLOCK = 8  # rows before it is known how long a step takes
CLOSING = 10.0  # seconds that the first process waits for what others leave on closing
SECONDS = 10.0  # that a block should take

LOSS = "loss"


class Shares:
    """What this process measures of the groups, once it is settled.

    Attributes:
        described: all groups of all processes, each with its whole tensors; what does not lie
            here is on the device ``meta``.
        counted: the same groups with the tensors whose part is counted here.
        local: the same with these parts, plain tensors.
        parts: that hold them.
    """

    def __init__(
        self,
        described: list[Watched],
        own: list[Watched],
        names: set[str],
        pending: Pending,
    ) -> None:
        self.described = described
        self._pending = pending
        tensors = [tensor for group in own for tensor in group.tensors]
        here = [name in names for group in own for name in group.names]
        self.parts = Parts(tensors, here)
        pieces = dict(zip(map(id, self.parts.sources), self.parts.pieces, strict=True))
        self.counted = [_some(group, set(pieces)) for group in own]
        self.local = [
            replace(group, tensors=tuple(pieces[id(tensor)] for tensor in group.tensors))
            for group in self.counted
        ]

    def bind(self) -> None:
        """Give the parts their gradients.

        Raises:
            WireError: they are still to be summed over processes, and one of these is missing.
        """
        self.parts.bind(self._pending.summed())

    def owners(self, movers: Together) -> dict[int, int]:
        """The member that moves the tensor of a part, by the part's id."""
        of = movers.owners()
        pairs = zip(self.parts.sources, self.parts.pieces, strict=True)
        return {id(piece): of[id(source)] for source, piece in pairs}


class Company:
    """The processes that watch together, as one of them sees them.

    Args:
        model: as this process has it.
        first: whether this is the first process.
        seconds: how long processes wait for one another.
    """

    def __init__(self, model: nn.Module, *, first: bool, seconds: float) -> None:
        self.first = first
        self._model, self._seconds = model, seconds
        self._wire: Wire | None = None
        self._pending: Pending | None = None
        self._has_moments = False
        self._rows = FIRST_BLOCK  # of the next block
        self._since = time.monotonic()
        self._last: Block | None = None
        self.lost, self.missing = 0, list[int]()
        self.shapes = whole_shapes(model)

    def settle(self, groups: Sequence[Watched], movers: Together) -> Shares:
        """Agree on who counts what; all processes take part, at the same step.

        Raises:
            WireError: not everybody has come.
            UserError: what everybody holds does not make whole tensors; the same on all processes.
        """
        if self._wire is None:
            self._wire = Wire.between_all(self._seconds)
        named = {n: t for group in groups for n, t in zip(group.names, group.tensors, strict=True)}
        places = place_here(self._model)
        flattened = {n: (self.shapes[n], places[n]) for n in named if n in self.shapes}
        told = {
            "parts": held_here(named, flattened),
            "groups": [_told(group, self.shapes) for group in groups],
            "slots": len(movers.param_groups),
            "moments": any("betas" in group for group in movers.param_groups),
        }
        answers = self._wire.exchange(told)
        _refuse_unlike(answers)
        everyone = [[_part(each) for each in answer["parts"]] for answer in answers]
        names = dealt(everyone)[self._wire.rank]
        described = _united([group for answer in answers for group in answer["groups"]])
        own = [_own(group, groups) for group in described]
        self._has_moments = any(answer["moments"] for answer in answers)
        if self._pending is not None:
            self._pending.close()
        self._pending = Pending(named, self._wire)
        self._rows, self._since = FIRST_BLOCK, time.monotonic()
        whole = [_described(group, named, self.shapes) for group in described]
        return Shares(whole, own, names, self._pending)

    def as_the_first(self, number: int) -> int:
        """The number that the first process says; all take part.

        Raises:
            WireError: a process is missing.
        """
        assert self._wire is not None
        return int(self._wire.exchange(number)[0])

    def is_due(self, rows: int) -> bool:
        """Whether a block of as many rows is to be added up before the next step."""
        return rows >= self._rows

    def total(self, rows: list[Row], grams: Tensor) -> tuple[list[Row], Tensor]:
        """The rows with what all processes measured; all of them take part.

        Raises:
            WireError: a process has left, or is at another row.
        """
        assert self._wire is not None
        self._last = self._block(rows, grams)
        found = self._last.sum(self._wire, self._wish(len(rows)))
        self._last = None
        self._rows, self._since = max(found.wish, 1), time.monotonic()
        return _filled(rows, found), found.grams

    def leave(self, rows: list[Row], grams: Tensor) -> tuple[list[Row], Tensor]:
        """The last rows, on the first process; on others they are left for it. Nobody waits long.

        After this `lost` says how many rows are, and `missing` which processes lack them.
        """
        wire, self._wire = self._wire, None
        if self._pending is not None:
            self._pending.close()
        if wire is None:
            return [], grams[:0]
        block = self._last or self._block(rows, grams)
        if not self.first:
            wire.deposit(block.to_bytes())
            wire.close()
            return [], grams[:0]
        wire.close()  # so that who waits for this process stops, and leaves its rows
        left = wire.collect(min(CLOSING, self._seconds)) if rows else []
        if not rows:
            return [], grams[:0]
        self.missing = [rank for rank, each in enumerate(left, 1) if each is None]
        if self.missing:
            self.lost = len(rows)
            return [], grams[:0]
        others = [each for each in left if each is not None]
        steps, found = block.sum_with(others)
        self.lost = len(rows) - len(steps)
        self.missing = [rank for rank, each in enumerate(others, 1) if block.lacks(each)]
        return _filled([row for row in rows if row.step in steps], found), found.grams

    def _block(self, rows: Sequence[Row], grams: Tensor) -> Block:
        moments = None
        if self._has_moments:  # on all processes, be there nothing that this one counts
            none = grams.new_full(grams.shape[1:2], torch.nan)
            found = [row.second_moments for row in rows]
            listed = [none if each is None else each for each in found]
            moments = torch.stack(listed) if listed else grams.new_zeros(0, grams.shape[1])
        losses = [_mean(row.logged.get(LOSS, [])) for row in rows]
        return Block([row.step for row in rows], grams, moments, losses)

    def _wish(self, rows: int) -> int:
        """How many rows take about `SECONDS`."""
        each = (time.monotonic() - self._since) / max(rows, 1)
        return max(1, min(CAPACITY, int(SECONDS / max(each, 1e-6))))


def _filled(rows: list[Row], found: Summed) -> list[Row]:
    for number, row in enumerate(rows):
        if found.moments is not None and not bool(found.moments[number].isnan().all()):
            row.second_moments = found.moments[number]
        if bool(found.said[number]):
            row.logged[LOSS] = [float(found.losses[number])]
    return rows


def _mean(values: Sequence[Any]) -> float | None:
    if not values:
        return None
    return math.fsum(map(float, values)) / len(values)


def _told(group: Watched, shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """A group as JSON values."""
    pairs = zip(group.names, group.tensors, strict=True)
    return {
        "name": group.name,
        "names": list(group.names),
        "settings": list(group.settings),
        "shapes": [list(shapes.get(name, tensor.shape)) for name, tensor in pairs],
        "dtypes": [str(tensor.dtype).removeprefix("torch.") for tensor in group.tensors],
        "invariant": group.invariant,
        "missing": list(group.missing),
    }


def _united(told: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """All processes' groups, those of one name as one: the stages of a pipeline have different."""
    found: dict[str, dict[str, Any]] = {}
    for group in told:
        known = found.setdefault(group["name"], group)
        for at, name in enumerate(group["names"]):
            if name not in known["names"]:
                for field in ("names", "settings", "shapes", "dtypes"):
                    known[field].append(group[field][at])
    return list(found.values())


def _described(
    told: Mapping[str, Any],
    named: Mapping[str, Tensor],
    shapes: Mapping[str, Sequence[int]],
) -> Watched:
    tensors = []
    for name, shape, dtype in zip(told["names"], told["shapes"], told["dtypes"], strict=True):
        if name in named and name not in shapes:
            tensors.append(named[name])
        else:
            kind = getattr(torch, dtype)
            tensors.append(torch.empty(shape, dtype=kind, device="meta"))
    return Watched(
        told["name"],
        tuple(told["names"]),
        tuple(tensors),
        tuple(told["settings"]),
        told["invariant"],
        tuple(told["missing"]),
    )


def _own(told: Mapping[str, Any], groups: Sequence[Watched]) -> Watched:
    """This process's group of that name; an empty one where it has none."""
    for group in groups:
        if group.name == told["name"]:
            return group
    return Watched(told["name"], (), (), (), told["invariant"])


def _some(group: Watched, chosen: set[int]) -> Watched:
    """The group with the tensors of these ids alone."""
    triples = zip(group.names, group.tensors, group.settings, strict=True)
    kept = [each for each in triples if id(each[1]) in chosen]
    names, tensors, settings = zip(*kept, strict=True) if kept else ((), (), ())
    return replace(group, names=names, tensors=tensors, settings=settings)


def _part(told: Sequence[Any]) -> Part:
    name, where, entries, whole, digest = told
    return Part(name, where, entries, whole, (digest[0], digest[1]))


def _refuse_unlike(answers: Sequence[Mapping[str, Any]]) -> None:
    counts = sorted({answer["slots"] for answer in answers})
    if len(counts) > 1:
        raise UserError(
            "the processes' optimizers have different numbers of parameter groups "
            f"({', '.join(map(str, counts))}): give each the same"
        )


__all__ = ["CLOSING", "Company", "Shares", "WireError"]
