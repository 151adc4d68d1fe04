"""What a first call did not use, and a later one does: heads of other tasks, other experts.

A tensor that the first call's output does not depend on is *dead* to the search. One with a real
gradient is not. So a later call is searched, too, and both answers are put together: a group stays
that neither call contradicts, and those join that lie in what was dead so far.
"""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from limitcycle.symmetry import Group, Symmetries
from limitcycle.watching.first_call import FirstCall

DEAD = "dead"
SEARCHES = 6  # of later calls; a model may have more experts than anybody waits for


class LaterCalls:
    """The newest call of a model, kept as long as tensors are dead to the search.

    Args:
        listening: makes the hooks that keep it.
    """

    def __init__(self, listening: Callable[[], FirstCall]) -> None:
        self._listening = listening
        self._call: FirstCall | None = listening()
        self._rows = self._searches = 0

    def forget(self) -> None:
        """Remove every trace from the model."""
        if self._call is not None:
            self._call.forget()
            self._call = None

    def search(self, found: Symmetries) -> Symmetries | None:
        """What is known with the newest call, if it used what was dead so far; else None.

        Raises:
            Exception: whatever the model raises when it is called in another way.
        """
        self._rows += 1
        if self._call is None or not self._call.seen or not self._are_used(come_alive(found)):
            return None
        call, self._call = self._call, None
        later = put_together(found, call.symmetries())
        self._searches += 1
        if dead_names(later) and self._searches < SEARCHES:
            self._call = self._listening()
        return later if dead_names(later) != dead_names(found) else None

    def _are_used(self, tensors: list[Tensor]) -> bool:
        """Whether one has a gradient that is not zero; asked at the 1st, 2nd, 4th, 8th … row.

        To ask is to wait for the device, and some frameworks give zeros to what is not used.
        """
        is_asked = self._rows & (self._rows - 1) == 0
        gradients = [tensor.grad for tensor in tensors]
        return is_asked and any(bool(g.count_nonzero()) for g in gradients if g is not None)


def dead_names(found: Symmetries) -> set[str]:
    """Tensors that the searched calls did not use."""
    return {name for group in found.groups if group.kind == DEAD for name in group.names}


def come_alive(found: Symmetries) -> list[Tensor]:
    """Tensors that are dead to the search, and have gradients."""
    dead = dead_names(found)
    tensors = [tensor for name, tensor in found.parameters.items() if name in dead]
    return [tensor for tensor in tensors if tensor.grad is not None]


def put_together(first: Symmetries, later: Symmetries) -> Symmetries:
    """What is known after both calls.

    Args:
        first: of all calls so far.
        later: of a call that used tensors which are dead to ``first``.
    """
    dead, unused = dead_names(first), dead_names(later)
    kept = [g for g in first.groups if g.kind != DEAD and _agrees(later, g, unused)]
    joined = [g for g in later.groups if g.kind != DEAD and set(g.names) <= dead]
    still = [g for g in first.groups if g.kind == DEAD and set(g.names) <= unused]
    groups = (*kept, *joined, *still)
    named = {name for group in groups for name in group.names}
    others = tuple(name for name in first.parameters if name not in named)
    return replace(first, groups=groups, not_invariant=others)


def _agrees(later: Symmetries, group: Group, unused: set[str]) -> bool:
    """Whether the later call, where it uses the group's tensors, has the group's symmetries."""
    if set(group.names) <= unused:
        return True
    return all(later.is_symmetry(generator) for generator in group.generators)
