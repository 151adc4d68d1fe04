"""Which process counts which part of which tensor: settled once, from what everybody holds.

Placements alone do not say it: a weight that a plan for tensor parallelism leaves out is whole, or
sharded over other dimensions, on several processes. So everybody says what it holds, equal parts
must be equal in their values, and the parts must add up to the whole.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from limitcycle.errors import UserError
from limitcycle.sharded.parts import digest, is_dtensor, local


class Part(NamedTuple):
    """What lies here of one tensor; plain values, to be sent as JSON.

    Attributes:
        name: of the tensor.
        where: which part it is; equal on two processes that hold the same.
        entries: here.
        whole: entries of the whole tensor.
        digest: of the values.
    """

    name: str
    where: str
    entries: int
    whole: int
    digest: tuple[str, str]


@torch.no_grad()
def held_here(
    named: Mapping[str, Tensor],
    flattened: Mapping[str, tuple[Sequence[int], Sequence[int]]] | None = None,
) -> list[Part]:
    """What lies on this process.

    Args:
        named: tensors by name.
        flattened: of those that FSDP1 has flattened: whole shape, and size of the group with this
            process's place in it.
    """
    found = []
    for name, tensor in named.items():
        here = local(tensor)
        if flattened and name in flattened:
            shape, place = flattened[name]
            where, whole = str(list(place)), int(torch.Size(shape).numel())
        else:
            where, whole = _where(tensor), tensor.numel()
        if here.numel() or not whole:
            found.append(Part(name, where, here.numel(), whole, digest(here)))
    return found


def _where(tensor: Any) -> str:
    """Placement, size and coordinate of each mesh dimension along which processes differ."""
    if not is_dtensor(tensor):
        return ""
    mesh, coordinate = tensor.device_mesh, tensor.device_mesh.get_coordinate()
    if coordinate is None:
        return "outside"
    said = [
        f"{placement} {coordinate[axis]}/{mesh.size(axis)}"
        for axis, placement in enumerate(tensor.placements)
        if not placement.is_replicate()
    ]
    return ", ".join(said)


def dealt(everyone: Sequence[Sequence[Part]]) -> list[set[str]]:
    """The names of the tensors whose part each process counts.

    Of those that hold the same part one counts it: who has least to do so far, the lowest first.

    Args:
        everyone: what lies on each process, by rank.

    Raises:
        UserError: parts that should be equal are not, or something is missing or double.
    """
    holders: dict[tuple[str, str], list[int]] = {}
    known: dict[tuple[str, str], Part] = {}
    for rank, parts in enumerate(everyone):
        for part in parts:
            key = part.name, part.where
            first = known.setdefault(key, part)
            if first != part:
                raise UserError(
                    f"{part.name} is not the same on processes {holders[key][0]} and {rank}, and "
                    "nothing says that it is sharded: make it a DTensor (distribute_tensor), or "
                    "give it the same values everywhere"
                )
            holders.setdefault(key, []).append(rank)
    _refuse_incomplete(list(known.values()))
    return _shared_out(known, holders, len(everyone))


def _refuse_incomplete(parts: Sequence[Part]) -> None:
    there: dict[str, int] = {}
    for part in parts:
        there[part.name] = there.get(part.name, 0) + part.entries
    for part in parts:
        if there[part.name] != part.whole:
            raise UserError(
                f"the parts of {part.name} add up to {there[part.name]:,} of {part.whole:,} "
                "entries: it is sharded in a way that torch's DTensor does not tell"
            )


def _shared_out(
    known: Mapping[tuple[str, str], Part],
    holders: Mapping[tuple[str, str], Sequence[int]],
    processes: int,
) -> list[set[str]]:
    load = [0] * processes
    names: list[set[str]] = [set() for _ in range(processes)]
    for key in sorted(known, key=lambda key: (len(holders[key]), -known[key].entries, key)):
        rank = min(holders[key], key=lambda rank: (load[rank], rank))
        load[rank] += known[key].entries
        names[rank].add(known[key].name)
    return names
