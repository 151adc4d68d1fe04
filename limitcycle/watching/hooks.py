"""Two hooks on an optimizer, placed so that the gradients seen are those that it uses.

Before a step the gradients are clipped, accumulated, averaged and unscaled as they will be used.
Two kinds of step hide them: with a closure they do not exist yet, so the closure is wrapped; a
fused optimizer under `torch.amp.GradScaler` unscales them itself, so their scale is kept, too.
Inside a step gradients may be changed in place (Nesterov momentum with ``foreach``), so nothing is
read from them afterwards.
"""

from collections.abc import Callable
from typing import Any

from torch.compiler import disable
from torch.optim import Optimizer

from limitcycle.measure import is_nested


def attach(
    optimizer: Optimizer, before: Callable[[], None], after: Callable[[], None]
) -> Callable[[], None]:
    """Have ``before`` called when a step's gradients are there, ``after`` when it has been made.

    Returns:
        a function that removes both hooks.
    """

    def pre(_: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if is_nested(optimizer):
            return None
        # The first of a step's positional arguments is the optimizer itself.
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if closure is None:
            before()
            return None
        told = _once(closure, before)
        if len(args) > 1:
            return (args[0], told, *args[2:]), kwargs
        return args, {**kwargs, "closure": told}

    def post(*_: Any) -> None:
        if not is_nested(optimizer):
            after()

    # A compiled step calls its hooks as they are: neither is to be compiled itself.
    handles = (
        optimizer.register_step_pre_hook(disable(pre)),  # type: ignore[no-untyped-call]
        optimizer.register_step_post_hook(disable(post)),  # type: ignore[no-untyped-call]
    )

    def detach() -> None:
        for handle in handles:
            handle.remove()

    return detach


def _once(closure: Callable[[], Any], before: Callable[[], None]) -> Callable[[], Any]:
    """``closure``, followed by ``before`` when it is called first: at the weights x_t."""
    waiting = [before]

    def told() -> Any:
        loss = closure()
        if waiting:
            waiting.pop()()
        return loss

    return told
