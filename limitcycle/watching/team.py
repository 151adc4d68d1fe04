"""One row of several optimizers: each measures its own tensors around its own step.

What lies between the steps of a turn (another forward pass, clipping, a scaler's unscaling) is the
script's affair. So a tensor's gradient is read before the step that uses it, and the Gram matrices
of all add up to those of the groups, also of groups that lie in several optimizers. A tensor whose
optimizer makes no step in a turn has a norm, but neither gradient nor update.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from limitcycle.measure import InnerProducts, Together, Turns
from limitcycle.watching.buffer import Row
from limitcycle.watching.groups import Watched
from limitcycle.watching.hooks import Hooks
from limitcycle.watching.settings import settings_of

SCALER = ("grad_scale", "found_inf")  # of an optimizer that unscales by itself


class TeamHooks:
    """The hooks of several optimizers; see `Hooks`.

    Args:
        movers: the optimizers.
        begin, end: called when a turn begins, and when it has ended.
        before, after: called around each step with the optimizer's number; ``before`` when its
            gradients are there.
    """

    def __init__(
        self,
        movers: Together,
        begin: Callable[[], None],
        end: Callable[[], None],
        before: Callable[[int], None],
        after: Callable[[int], None],
    ) -> None:
        self._turns = Turns(len(movers.members))
        self._begin, self._end = begin, end
        self._before, self._after = before, after
        self._made = False  # a step of this turn has been made
        self._under_way: set[int] = set()
        self.in_a_turn = False
        self._hooks = [
            Hooks(member, outer, partial(self._step, number), partial(self._stepped, number))
            for number, (member, outer) in enumerate(
                zip(movers.members, movers.outers, strict=True)
            )
        ]

    def follow(self, hook: Callable[..., None]) -> Any:
        """Have ``hook`` called after each step of each of them; a handle that removes it."""
        return _Handles([hooks.follow(hook) for hooks in self._hooks])

    def remove(self) -> None:
        """Take the hooks away."""
        for hooks in self._hooks:
            hooks.remove()

    def come_last(self) -> None:
        """Be called behind the hooks that others have put there meanwhile."""
        for hooks in self._hooks:
            hooks.come_last()

    def finish(self) -> None:
        """The turn has ended, whoever has made no step in it."""
        self.in_a_turn = False
        self._under_way.clear()
        if self._made:
            self._made = False
            self._end()

    def _step(self, number: int) -> None:
        if self._turns.begins(number) or not self.in_a_turn:
            self.finish()
            self._begin()
            self.in_a_turn = True
        self._under_way.add(number)
        self._before(number)

    def _stepped(self, number: int) -> None:
        self._under_way.discard(number)
        self._made = True
        self._after(number)
        if self._turns.complete and not self._under_way:
            self.finish()


class _Handles:
    """Several handles as one."""

    def __init__(self, handles: Sequence[Any]) -> None:
        self._handles = handles

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()


class Team:
    """The inner products of a turn, in the place of `limitcycle.measure.InnerProducts`.

    Args:
        movers: the optimizers.
        groups: the tensors that are measured together.
        owners: the optimizer that moves each tensor, by the tensor's id; None: as it says itself.
    """

    def __init__(
        self,
        movers: Together,
        groups: Sequence[Watched],
        owners: dict[int, int] | None = None,
    ) -> None:
        owners = movers.owners() if owners is None else owners
        self._members = [
            _Member(member, slot, _pairs(groups, owners, number), len(groups))
            for number, (member, slot) in enumerate(zip(movers.members, movers.slots, strict=True))
        ]
        self._across = _Across(groups, owners)
        self._row: Row | None = None

    def begin(self, row: Row) -> None:
        """A turn begins, and this is its row."""
        self._row = row
        self._across.begin()
        for member in self._members:
            member.stepped = False

    def before_step(self, number: int, *, updates: bool) -> None:
        """The gradients of this optimizer's step are there."""
        if self._row is not None:
            self._members[number].before(self._row, updates=updates)
            self._across.before(number)

    def after_step(self, number: int, gram: Tensor, *, updates: bool) -> None:
        """Its step has been made: what was measured around it goes to the turn's ``gram``."""
        if self._row is not None:
            member = self._members[number]
            member.after(gram, updates=updates)
            self._across.after(number, member.scale, member.skipped)

    def after(self, gram: Tensor, *, updates: bool) -> None:
        """The turn has ended: of who made no step in it there are the weights."""
        if self._row is None:
            return
        made = [member for member in self._members if member.stepped]
        for member in self._members:
            if not member.stepped:
                member.rest(gram)
        self._across.end(gram, updates=updates)
        flags = [member.skipped for member in made if member.skipped is not None]
        if flags and len(flags) == len(made):
            self._row.skipped = torch.stack([flag.reshape(()) for flag in flags]).amin()
        self._row = None


class _Member:
    """The tensors that one of the optimizers moves."""

    def __init__(
        self, optimizer: Optimizer, slots: slice, pairs: list[tuple[Tensor, int]], groups: int
    ) -> None:
        self.stepped = False
        self.skipped: Tensor | None = None
        self.scale: Tensor | None = None
        self._optimizer, self._slots = optimizer, slots
        self._products: InnerProducts | None = None
        if pairs:
            tensors, owners = zip(*pairs, strict=True)
            self._products = InnerProducts(tensors, owners, groups)
            device = tensors[0].device
            dtype = torch.float32 if device.type == "mps" else torch.float64
            self._gram = torch.zeros(groups, 3, 3, dtype=dtype, device=device)

    def before(self, row: Row, *, updates: bool) -> None:
        count = self._slots.stop - self._slots.start  # groups that are new wait for a new turn
        now = [settings_of(group) for group in self._optimizer.param_groups[:count]]
        row.settings[self._slots] = now
        # A scaler leaves these on an optimizer that unscales by itself, for the time of a step.
        self.scale, self.skipped = (getattr(self._optimizer, name, None) for name in SCALER)
        if self._products is not None:
            self._products.before(self._gram.zero_(), updates=updates)

    def after(self, gram: Tensor, *, updates: bool) -> None:
        self.stepped = True
        if self._products is None:
            return
        mine = self._gram
        if updates:
            self._products.after(mine)
        if self.scale is not None:
            mine[:, 1] /= self.scale
            mine[:, :, 1] /= self.scale
        if self.skipped is not None:
            mine = torch.where(self.skipped != 0, _weights_only(mine), mine)
        gram += mine

    def rest(self, gram: Tensor) -> None:
        if self._products is not None:
            self._products.before(self._gram.zero_(), updates=False)
            gram += _weights_only(self._gram)


class _Across:
    """Tensors of groups that lie in several optimizers, from a turn's begin to its end.

    What one optimizer's step sets off may move another one's tensors: a held norm scales the
    whole group. So these are copied, in full precision.
    """

    def __init__(self, groups: Sequence[Watched], owners: dict[int, int]) -> None:
        several = [index for index, group in enumerate(groups) if _is_shared(group, owners)]
        self._tensors = [tensor for index in several for tensor in groups[index].tensors]
        self._groups = [index for index in several for _ in groups[index].tensors]
        self._owners = [owners[id(tensor)] for tensor in self._tensors]
        self._x: list[Tensor] = []
        self._read: dict[int, list[Tensor]] = {}  # gradients by optimizer, in a step
        self._used: dict[int, list[Tensor]] = {}  # of steps that were made

    def begin(self) -> None:
        self._x = [_flat(tensor) for tensor in self._tensors]
        self._read, self._used = {}, {}

    def before(self, number: int) -> None:
        self._read[number] = [
            _flat(torch.zeros_like(tensor) if tensor.grad is None else tensor.grad)
            for tensor, owner in zip(self._tensors, self._owners, strict=True)
            if owner == number
        ]

    def after(self, number: int, scale: Tensor | None, skipped: Tensor | None) -> None:
        gradients = self._read.pop(number, [])
        if scale is not None:
            gradients = [gradient / scale for gradient in gradients]
        if skipped is not None:
            gradients = [torch.where(skipped != 0, 0.0, gradient) for gradient in gradients]
        self._used[number] = gradients

    def end(self, gram: Tensor, *, updates: bool) -> None:
        used = {number: iter(gradients) for number, gradients in self._used.items()}
        for index, tensor in enumerate(self._tensors):
            x = self._x[index]
            gradient = next(used.get(self._owners[index], iter(())), torch.zeros_like(x))
            change = _flat(tensor) - x if updates else torch.zeros_like(x)
            rows = torch.stack([x, gradient, change])
            gram[self._groups[index]] += (rows @ rows.T).to(gram.dtype)


def _is_shared(group: Watched, owners: dict[int, int]) -> bool:
    """Whether several optimizers move its tensors, and it is one thing for all that."""
    return group.invariant and len({owners[id(tensor)] for tensor in group.tensors}) > 1


def _flat(tensor: Tensor) -> Tensor:
    """A copy, flat, in double precision where the device has it."""
    real = torch.view_as_real(tensor) if tensor.is_complex() else tensor
    dtype = torch.float32 if tensor.device.type == "mps" else torch.float64
    return real.detach().reshape(-1).to(dtype, copy=True)


def _weights_only(gram: Tensor) -> Tensor:
    """⟨x, x⟩ alone: a gradient that is not used may be anything."""
    found = torch.zeros_like(gram)
    found[:, 0, 0] = gram[:, 0, 0]
    return found


def _pairs(
    groups: Sequence[Watched], owners: dict[int, int], number: int
) -> list[tuple[Tensor, int]]:
    """The tensors that one optimizer moves alone, each with its group."""
    return [
        (tensor, index)
        for index, group in enumerate(groups)
        for tensor in group.tensors
        if owners[id(tensor)] == number and not _is_shared(group, owners)
    ]
