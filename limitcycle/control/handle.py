"""What all controls have in common: two hooks around the optimizer's step, and taking them away."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from torch.optim import LBFGS, Optimizer

from limitcycle.control.orbits import Orbits
from limitcycle.errors import UserError
from limitcycle.measure import Together, Turns, is_nested, together


class Handle:
    """A control at work. `remove`, or leaving it as a context manager, ends it without a trace.

    The two halves of a subclass, `_before` and `_after` an optimizer's step, see no gradient mode.
    Of several optimizers each has them around its own steps: what is held is held after each.
    """

    _name: ClassVar[str]
    _claims: ClassVar[str]

    def __init__(self, optimizers: Together, orbits: Orbits) -> None:
        self._optimizers = optimizers
        self._orbits = orbits
        self._turns = Turns(len(optimizers.members))
        self._refuse_second()
        self._hooks = [hook for member in optimizers.members for hook in self._hooked(member)]

    def remove(self) -> None:
        """Take the hooks away; twice is once."""
        for hook in self._hooks:
            hook.remove()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs, in plain values (JSON)."""
        return {"control": self._name, "groups": list(self._orbits.labels)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where ``state`` was taken: with the weights and optimizer of that moment.

        Raises:
            UserError: it is of another control, or of other groups.
        """
        for key, mine in Handle.state_dict(self).items():
            if state.get(key) != mine:
                raise UserError(
                    f"this state is not for this {self._name}: its {key} are {state.get(key)!r}, "
                    f"here they are {mine!r}"
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def _before(self, member: int, new_turn: bool) -> None:
        """One of the optimizers is about to step, the first in a turn of all or not."""
        raise NotImplementedError

    def _after(self, member: int) -> None:
        """It has made its step."""
        raise NotImplementedError

    def _hooked(self, optimizer: Optimizer) -> list[Any]:
        return [
            optimizer.register_step_pre_hook(self._before_step),
            optimizer.register_step_post_hook(self._after_step),
        ]

    # Bound methods, so that a second control finds this one among an optimizer's hooks.
    def _before_step(self, optimizer: Optimizer, *_: Any) -> None:
        if not is_nested(optimizer):
            member = self._optimizers.members.index(optimizer)
            with torch.no_grad():
                self._before(member, self._turns.begins(member))

    def _after_step(self, optimizer: Optimizer, *_: Any) -> None:
        if not is_nested(optimizer):
            with torch.no_grad():
                self._after(self._optimizers.members.index(optimizer))

    def _refuse_second(self) -> None:
        mine = set(map(id, self._orbits.tensors))
        for other in controls_of(self._optimizers):
            if other._claims != self._claims:
                continue
            if mine.intersection(map(id, other._orbits.tensors)):
                raise UserError(
                    f"{other._name} already controls the {self._claims} of these parameters: "
                    f"remove() it before {self._name}"
                )


def controls_of(optimizers: Together) -> list[Handle]:
    """The controls at work on these optimizers."""
    hooks = [
        hook for member in optimizers.members for hook in member._optimizer_step_pre_hooks.values()
    ]
    found = [getattr(hook, "__self__", None) for hook in hooks]
    return list(dict.fromkeys(each for each in found if isinstance(each, Handle)))


def controllable(optimizer: Any) -> Together:
    """The torch optimizers that make the steps: in a wrapper, in a container, in a list.

    Raises:
        UserError: LBFGS, or no torch optimizer.
    """
    optimizers = together(optimizer)
    if any(isinstance(member, LBFGS) for member in optimizers.members):
        raise UserError(
            "LBFGS cannot be controlled: its curvature pairs are differences between successive "
            "weights, and a projection breaks them; use SGD or Adam"
        )
    return optimizers
