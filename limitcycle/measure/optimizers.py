"""Which optimizer steps: wrappers pass on a step, but have no hooks of their own."""

import sys
from functools import cache
from types import CodeType, FrameType
from typing import Any

from torch.optim import Optimizer

from limitcycle.errors import UserError


def inner_optimizer(optimizer: Any) -> Optimizer:
    """The torch optimizer within that makes the steps.

    It is in a wrapper (Accelerate, Lightning), or in an optimizer that moves the weights besides
    (SAM to where the gradient is taken, Lookahead back to slow weights).

    Raises:
        UserError: there is none.
    """
    wrapped = getattr(optimizer, "optimizer", None)
    if not isinstance(wrapped, Optimizer):
        wrapped = _only_one_in(optimizer)
    if isinstance(wrapped, Optimizer) and wrapped is not optimizer:
        return inner_optimizer(wrapped)
    if not isinstance(optimizer, Optimizer):
        raise UserError(f"a torch.optim.Optimizer is needed, not {type(optimizer).__name__}")
    return optimizer


def outer_optimizer(optimizer: Any, inner: Optimizer) -> Optimizer | None:
    """``optimizer``, if it moves the weights besides ``inner`` and calls hooks of its own."""
    if optimizer is inner or not isinstance(optimizer, Optimizer):
        return None
    own = vars(optimizer).get("_optimizer_step_post_hooks")
    if own is None or own is inner._optimizer_step_post_hooks:
        return None
    return optimizer if _has_hooks(type(optimizer).step) else None


def held_by(holder: Any) -> list[Optimizer]:
    """The optimizers among an object's attributes, and in lists and dictionaries there."""
    found: dict[int, Optimizer] = {}
    for value in getattr(holder, "__dict__", {}).values():
        values = [value]
        if isinstance(value, list | tuple):
            values = list(value)
        elif isinstance(value, dict):
            values = list(value.values())
        found |= {id(each): each for each in values if isinstance(each, Optimizer)}
    found.pop(id(holder), None)
    # One that holds the holder is around it, not in it.
    return [each for each in found.values() if not any(v is holder for v in vars(each).values())]


def _only_one_in(optimizer: Any) -> Optimizer | None:
    """The one optimizer that another one holds, and that moves all of its tensors."""
    if not isinstance(optimizer, Optimizer):
        return None
    held = held_by(optimizer)
    if len(held) != 1 or not _tensors(optimizer) <= _tensors(held[0]):
        return None  # one that moves a part of the tensors is an optimizer's own affair
    return held[0]


def _tensors(optimizer: Optimizer) -> set[int]:
    return {id(tensor) for group in optimizer.param_groups for tensor in group["params"]}


def is_partial(optimizer: Optimizer) -> bool:
    """Whether its state is but a part of the job's: each process steps some of the tensors."""
    return any(kind.__name__ == "ZeroRedundancyOptimizer" for kind in type(optimizer).__mro__)


def stepping_classes(optimizer: Optimizer) -> list[str]:
    """The names of its class and of that class's parents; of what steps in a sharded optimizer."""
    own = getattr(optimizer, "optim", None) if is_partial(optimizer) else None
    return [kind.__name__ for kind in type(own or optimizer).__mro__]


def is_nested(optimizer: Optimizer) -> bool:
    """Whether the step whose hooks are called now was called by another step of ``optimizer``.

    torch puts hooks around the step of each class that an optimizer was made of. So they are called
    twice where a class calls its parent's step, and the parent has been used by itself, too.
    """
    kind: Any = type(optimizer)
    kinds = _with_steps(kind)
    if len(kinds) < 2 or sum(_has_hooks(vars(kind)["step"]) for kind in kinds) < 2:
        return False
    return _steps_of(optimizer) > 1


@cache
def _with_steps(kind: Any) -> tuple[type, ...]:
    """The classes among its parents, itself included, that bring a step; torch's base aside."""
    return tuple(each for each in kind.__mro__ if "step" in vars(each) and each is not Optimizer)


def is_stepping(optimizer: Optimizer) -> bool:
    """Whether a step of ``optimizer`` has begun and not ended."""
    return _steps_of(optimizer) > 0


def _steps_of(optimizer: Optimizer) -> int:
    """How many steps of ``optimizer`` are under way, one within the other."""
    frame: FrameType | None = sys._getframe(1)
    steps = 0
    while frame is not None:
        if frame.f_code is _STEP and frame.f_locals["args"][0] is optimizer:
            steps += 1
        frame = frame.f_back
    return steps


def _has_hooks(step: Any) -> bool:
    return getattr(step, "hooked", False) and getattr(step, "__code__", None) is _STEP


def _code_of_step() -> CodeType | None:
    """What torch runs around every step."""
    around = Optimizer.profile_hook_step(lambda optimizer: None)
    return getattr(around, "__code__", None)


_STEP = _code_of_step()
