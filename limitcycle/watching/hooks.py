"""Hooks on an optimizer, placed so that the gradients seen are those that it uses.

Before a step the gradients are clipped, accumulated, averaged and unscaled as they will be used.
Two kinds of step hide them: with a closure they do not exist yet, so the closure is wrapped; a
fused optimizer under `torch.amp.GradScaler` unscales them itself, so their scale is kept, too.
Inside a step gradients may be changed in place (Nesterov momentum with ``foreach``), so nothing is
read from them afterwards.
"""

from collections.abc import Callable
from itertools import islice
from typing import Any

from torch.compiler import disable, is_dynamo_compiling
from torch.optim import Optimizer

from limitcycle.measure import is_nested, is_stepping


class Hooks:
    """Hooks on an optimizer, the last of all: what others change around a step is in it.

    Args:
        optimizer: that makes the steps.
        outer: an optimizer that holds it and moves the weights besides; a step within one of its
            steps ends with that.
        before: called when a step's gradients are there.
        after: called when it has been made.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        outer: Optimizer | None,
        before: Callable[[], None],
        after: Callable[[], None],
    ) -> None:
        self._optimizer, self._outer = optimizer, outer
        self._before, self._after = before, after
        self._held_back = False  # a step was made within one of the outer optimizer's
        # A compiled step calls its hooks as they are: neither is to be compiled itself. To say so
        # at every call would cost a short step as much as all the rest of one without a row.
        self._pre_apart = disable(self._pre)  # type: ignore[no-untyped-call]
        self._post_apart = disable(self._post)  # type: ignore[no-untyped-call]
        self._first = optimizer.register_step_pre_hook(self._before_step)
        self._last = [optimizer.register_step_post_hook(self._after_step)]
        self._handles: list[Any] = [self._first, *self._last]
        if outer is not None:
            ending = disable(self._outer_post)  # type: ignore[no-untyped-call]
            self._handles.append(outer.register_step_post_hook(ending))

    @property
    def in_a_turn(self) -> bool:
        """Never: a row begins and ends with one step."""
        return False

    def finish(self) -> None:
        """Nothing waits for another optimizer's step."""

    def follow(self, hook: Callable[..., None]) -> Any:
        """Have ``hook`` called after each step, behind ours; a handle that removes it."""
        handle = self._optimizer.register_step_post_hook(hook)
        self._last.append(handle)
        return handle

    def remove(self) -> None:
        """Take the hooks away."""
        for handle in self._handles:
            handle.remove()

    def come_last(self) -> None:
        """Be called behind the hooks that others have put there meanwhile."""
        _to_end(self._optimizer._optimizer_step_pre_hooks, [self._first])
        _to_end(self._optimizer._optimizer_step_post_hooks, self._last)

    def _before_step(self, optimizer: Optimizer, *given: Any) -> Any:
        return (self._pre_apart if is_dynamo_compiling() else self._pre)(optimizer, *given)

    def _after_step(self, *given: Any) -> None:
        (self._post_apart if is_dynamo_compiling() else self._post)(*given)

    def _pre(self, _: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if is_nested(self._optimizer):
            return None
        # While the ones are called the others may be put in order.
        _to_end(self._optimizer._optimizer_step_post_hooks, self._last)
        # The first of a step's positional arguments is the optimizer itself.
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        if closure is None:
            self._before()
            return None
        told = _once(closure, self._before)
        if len(args) > 1:
            return (args[0], told, *args[2:]), kwargs
        return args, {**kwargs, "closure": told}

    def _post(self, *_: Any) -> None:
        if is_nested(self._optimizer):
            return
        _to_end(self._optimizer._optimizer_step_pre_hooks, [self._first])
        if self._outer is None or not is_stepping(self._outer):
            self._after()
        else:
            self._held_back = True

    def _outer_post(self, *_: Any) -> None:
        if self._outer is None or is_nested(self._outer) or not self._held_back:
            return
        self._held_back = False
        self._after()


def _to_end(table: Any, handles: list[Any]) -> None:
    """Put hooks at the end of their table, in order, unless they are there."""
    if len(handles) == 1 and next(reversed(table), None) == handles[0].id:
        return  # at nearly every step
    here = [handle.id for handle in handles if handle.id in table]
    if [*islice(reversed(table), len(here))] != here[::-1]:
        for each in here:
            table.move_to_end(each)


def _once(closure: Callable[[], Any], before: Callable[[], None]) -> Callable[[], Any]:
    """``closure``, followed by ``before`` when it is called first: at the weights x_t."""
    waiting = [before]

    def told() -> Any:
        loss = closure()
        if waiting:
            waiting.pop()()
        return loss

    return told
