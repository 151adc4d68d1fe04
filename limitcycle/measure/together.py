"""Optimizers that move one model in turn, looked at as one.

Matrices go to Muon and the rest to AdamW, a critic and a generator have one each, and a container
that is an optimizer by name holds those that make the steps.
"""

from collections.abc import Iterator
from typing import Any, Protocol

from torch import Tensor
from torch.optim import Optimizer

from limitcycle.errors import UserError
from limitcycle.measure.optimizers import held_by, inner_optimizer, outer_optimizer


class Moving(Protocol):
    """What has the parameter groups of an optimizer, or of several."""

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Tensors with their settings."""


class Together:
    """Optimizers as one: their parameter groups one behind the other.

    Attributes:
        members: those that make the steps, each once, in the order given.
        outers: for each of them an optimizer around it that moves the weights besides, or None.
    """

    def __init__(self, members: list[tuple[Optimizer, Optimizer | None]]) -> None:
        self.members = tuple(member for member, _ in members)
        self.outers = tuple(outer for _, outer in members)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Those of all members, one member's behind the other's."""
        return [group for member in self.members for group in member.param_groups]

    @property
    def name(self) -> str:
        """The classes of the members, in words."""
        *most, last = dict.fromkeys(type(member).__name__ for member in self.members)
        return f"{', '.join(most)} and {last}" if most else last

    @property
    def slots(self) -> list[slice]:
        """Where each member's parameter groups lie among all."""
        found, begin = [], 0
        for member in self.members:
            found.append(slice(begin, begin + len(member.param_groups)))
            begin += len(member.param_groups)
        return found

    def owners(self) -> dict[int, int]:
        """The member that moves a tensor, by the tensor's id."""
        return {
            id(tensor): number
            for number, member in enumerate(self.members)
            for tensor in tensors_of(member)
        }

    def member_of(self, slot: int) -> Optimizer:
        """The member that a parameter group belongs to."""
        members = [member for member in self.members for _ in member.param_groups]
        return members[slot]


def together(given: Any) -> Together:
    """The optimizers that make the steps, of one, of several, or within a container.

    Args:
        given: an optimizer, a wrapper of one, a container of several, or a list of such.

    Raises:
        UserError: there is none, or two of them move the same tensor.
    """
    found = {id(member): (member, outer) for member, outer in _members(given)}
    if not found:
        raise UserError("no optimizer was given: a list of them must hold one at least")
    all_of_them = Together(list(found.values()))
    _refuse_shared(all_of_them)
    return all_of_them


def schedule_free(given: Any, optimizers: Together) -> str:
    """The class of a schedule-free optimizer among them or around one; "" where there is none.

    What it evaluates and saves is an average of the weights that it trains.
    """
    around = given if isinstance(given, list | tuple) else [given]
    for each in (*optimizers.members, *around):
        groups = getattr(each, "param_groups", [])
        kinds = [kind.__name__ for kind in type(each).__mro__]
        if any("train_mode" in group for group in groups) or any(
            "ScheduleFree" in k for k in kinds
        ):
            return type(each).__name__
    return ""


def tensors_of(optimizer: Optimizer) -> Iterator[Tensor]:
    """The tensors in its parameter groups."""
    for group in optimizer.param_groups:
        yield from group["params"]


def _members(given: Any) -> Iterator[tuple[Optimizer, Optimizer | None]]:
    if isinstance(given, list | tuple):
        for each in given:
            yield from _members(each)
        return
    if "ScheduleFree" in type(given).__name__ and not isinstance(given, Optimizer):
        raise UserError(
            f"{type(given).__name__} has its optimizer step other weights than those that "
            "gradients are taken at: use AdamWScheduleFree, or another class that steps by itself"
        )
    held = _contained(given)
    if not held:
        inner = inner_optimizer(given)
        yield inner, outer_optimizer(given, inner)
        return
    for each in held:
        for member, outer in _members(each):
            yield member, outer or outer_optimizer(given, member)


def _contained(container: Any) -> list[Optimizer]:
    """Several optimizers that another object holds, if it leaves all the moving to them."""
    held = held_by(container)
    if len(held) < 2:
        wrapped = isinstance(container, Optimizer) or hasattr(container, "optimizer")
        return [] if wrapped else held
    tensors = [id(tensor) for optimizer in held for tensor in tensors_of(optimizer)]
    if len(set(tensors)) < len(tensors):
        return []  # it chooses among them, and is asked itself
    if isinstance(container, Optimizer):
        trained = {id(tensor) for tensor in tensors_of(container) if tensor.requires_grad}
        if not trained <= set(tensors):
            return []  # one that moves a part of its tensors is an optimizer's own affair
    return held


def _refuse_shared(optimizers: Together) -> None:
    seen: dict[int, Optimizer] = {}
    for member in optimizers.members:
        for tensor in tensors_of(member):
            other = seen.setdefault(id(tensor), member)
            if other is not member:
                kinds = f"{type(other).__name__} and {type(member).__name__}"
                raise UserError(
                    f"{kinds} both move a tensor of shape {tuple(tensor.shape)}: give one of them"
                )
