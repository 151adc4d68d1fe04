"""What all controls have in common: two hooks around the optimizer's step, and taking them away."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from torch.optim import LBFGS, Optimizer

from limitcycle.control.orbits import Orbits
from limitcycle.errors import UserError
from limitcycle.measure import inner_optimizer, is_nested


class Handle:
    """A control at work. `remove`, or leaving it as a context manager, ends it without a trace.

    The two halves of a subclass, `_before` and `_after` the optimizer's step, see no gradient mode.
    """

    _name: ClassVar[str]
    _claims: ClassVar[str]

    def __init__(self, optimizer: Optimizer, orbits: Orbits) -> None:
        self._optimizer = optimizer
        self._orbits = orbits
        self._refuse_second()
        self._hooks = (
            optimizer.register_step_pre_hook(self._before_step),
            optimizer.register_step_post_hook(self._after_step),
        )

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

    def _before(self) -> None:
        raise NotImplementedError

    def _after(self) -> None:
        raise NotImplementedError

    def _before_step(self, *_: Any) -> None:
        if not is_nested(self._optimizer):
            with torch.no_grad():
                self._before()

    def _after_step(self, *_: Any) -> None:
        if not is_nested(self._optimizer):
            with torch.no_grad():
                self._after()

    def _refuse_second(self) -> None:
        mine = set(map(id, self._orbits.tensors))
        for hook in self._optimizer._optimizer_step_pre_hooks.values():
            other = getattr(hook, "__self__", None)
            if not isinstance(other, Handle) or other._claims != self._claims:
                continue
            if mine.intersection(map(id, other._orbits.tensors)):
                raise UserError(
                    f"{other._name} already controls the {self._claims} of these parameters: "
                    f"remove() it before {self._name}"
                )


def inner(optimizer: Optimizer) -> Optimizer:
    """The torch optimizer in a wrapper (Accelerate, Lightning) that steps it.

    Raises:
        UserError: LBFGS, or no torch optimizer.
    """
    optimizer = inner_optimizer(optimizer)
    if isinstance(optimizer, LBFGS):
        raise UserError(
            "LBFGS cannot be controlled: its curvature pairs are differences between successive "
            "weights, and a projection breaks them; use SGD or Adam"
        )
    return optimizer
