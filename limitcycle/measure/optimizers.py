"""Which optimizer steps: wrappers pass on a step, but have no hooks of their own."""

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
