"""A cluster that is this process: as much of Ray as the lab asks for, and workers that get lost."""

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from limitcycle.record.mirror import Mirror


class Lost(BaseException):
    """The node is gone, and what it would have done in the end with it."""


class RayError(Exception):
    pass


class NodeDiedError(RayError):
    pass


class ActorDiedError(RayError):
    pass


class TaskCancelledError(RayError):
    pass


class RayTaskError(RayError):
    def __init__(self, cause: Exception) -> None:
        self.cause = cause


class PretendedRay:
    """Tasks run where they are given out.

    Attributes:
        lose: (task) → after how many copies its worker is lost; None: never.
        given: the tasks, in order.
        asked: what they asked for.
    """

    exceptions = SimpleNamespace(
        RayError=RayError,
        ActorDiedError=ActorDiedError,
        TaskCancelledError=TaskCancelledError,
        RayTaskError=RayTaskError,
    )
    util = SimpleNamespace(
        scheduling_strategies=SimpleNamespace(
            NodeAffinitySchedulingStrategy=lambda node, soft: (node, soft)
        )
    )

    def __init__(self, lose: Callable[[Any], int | None] = lambda _: None) -> None:
        self.lose, self.given, self.asked = lose, [], {}

    def is_initialized(self) -> bool:
        return True

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: "here")

    def remote(self, **options: Any) -> Callable[[Any], Any]:
        def decorate(what: Any) -> Any:
            if isinstance(what, type):
                actor = SimpleNamespace(remote=lambda: handle(what()))
                return SimpleNamespace(options=lambda **_: actor)
            self.asked = options
            return SimpleNamespace(remote=lambda task, box: self._begin(what, task, box))

        return decorate

    def _begin(self, work: Callable[..., Any], task: Any, mailbox: Any) -> Any:
        self.given.append(task)
        result: Future[Any] = Future()
        with losing_after(self.lose(task)):
            try:
                result.set_result(work(task, mailbox))
            except Lost:
                result.set_exception(NodeDiedError("its node has died"))
            except Exception as problem:
                result.set_exception(RayTaskError(problem))
        return result

    def wait(self, references: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        return references, []

    def get(self, reference: Any, timeout: float | None = None) -> Any:
        return reference.result()

    def cancel(self, reference: Any) -> None:
        reference.set_exception(TaskCancelledError())


def handle(thing: Any) -> Any:
    """What Ray gives for an actor: its methods' ``remote`` return references."""

    def method(name: str) -> Any:
        def remote(*arguments: Any, **options: Any) -> Any:
            future: Future[Any] = Future()
            try:
                future.set_result(getattr(thing, name)(*arguments, **options))
            except Exception as problem:
                future.set_exception(problem)
            return SimpleNamespace(future=lambda: future, result=future.result)

        return SimpleNamespace(remote=remote)

    return SimpleNamespace(**{name: method(name) for name in ("tell", "read")})


@contextmanager
def losing_after(copies: int | None):
    """Inside, the node is lost instead of making a copy after so many."""
    push, made = Mirror.push, 0

    def counted(mirror: Mirror) -> None:
        nonlocal made
        if copies is not None and made >= copies:
            raise Lost
        made += 1
        push(mirror)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Mirror, "push", counted)
        yield
