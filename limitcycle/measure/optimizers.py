"""Which optimizer steps: wrappers pass on a step, but have no hooks of their own."""

import sys
from types import CodeType
from typing import Any

from torch.optim import Optimizer

from limitcycle.errors import UserError


def inner_optimizer(optimizer: Any) -> Optimizer:
    """The torch optimizer in a wrapper (Accelerate, Lightning) that steps it.

    Raises:
        UserError: there is none.
    """
    wrapped = getattr(optimizer, "optimizer", None)
    if isinstance(wrapped, Optimizer):
        return inner_optimizer(wrapped)
    if not isinstance(optimizer, Optimizer):
        raise UserError(f"a torch.optim.Optimizer is needed, not {type(optimizer).__name__}")
    return optimizer


def is_nested(optimizer: Optimizer) -> bool:
    """Whether the step whose hooks are called now was called by another step of ``optimizer``.

    torch puts hooks around the step of each class that an optimizer was made of. So they are called
    twice where a class calls its parent's step, and the parent has been used by itself, too.
    """
    hooked = [kind for kind in type(optimizer).__mro__ if _has_hooks(vars(kind).get("step"))]
    if len(hooked) < 2:
        return False
    frame, steps = sys._getframe(1), 0
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_code is _STEP and frame.f_locals["args"][0] is optimizer:
            steps += 1
    return steps > 1


def _has_hooks(step: Any) -> bool:
    return getattr(step, "hooked", False) and getattr(step, "__code__", None) is _STEP


def _code_of_step() -> CodeType | None:
    """What torch runs around every step."""
    around = Optimizer.profile_hook_step(lambda optimizer: None)
    return getattr(around, "__code__", None)


_STEP = _code_of_step()
