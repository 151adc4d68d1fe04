"""What is measured: the tensors that the optimizer moves, and what is known of their symmetries."""

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

from limitcycle.errors import UserError
from limitcycle.measure import Moving
from limitcycle.symmetry import Symmetries, trainable
from limitcycle.symmetry.search import SHARDED
from limitcycle.watching.declared import declared, nothing_known
from limitcycle.watching.first_call import FirstCall
from limitcycle.watching.groups import Watched, moved_alike, watched_groups
from limitcycle.watching.later import LaterCalls, dead_names
from limitcycle.watching.notice import notice

_LONGEST = 200  # characters of an error that are said


class Subject:
    """A model and the optimizer that moves it, while they change.

    Args:
        model: as it is trained.
        optimizer: that is watched.
        given: symmetries, or names and patterns of tensors; None: to be found.
        sharded: no process holds the whole model, so that nothing can be found with it.

    Attributes:
        symmetries: None until they have been found.
        unjudged: why the norm says nothing of this run; empty where it does.

    Raises:
        UserError: ``given`` is something else, or of another model.
    """

    def __init__(
        self, model: nn.Module, optimizer: Moving, given: Any, *, sharded: bool = False
    ) -> None:
        self.symmetries: Symmetries | None = None
        self.unjudged = ""
        self._model, self._optimizer, self._sharded = model, optimizer, sharded
        self._patterns: list[str] = []
        self._first_call: FirstCall | None = None
        self._later: LaterCalls | None = None
        self._moved: tuple[int, ...] = ()
        if isinstance(given, Symmetries):
            self.symmetries = given.bound(model)
        elif given is not None:
            self._patterns = _patterns(given)
            self.symmetries = declared(model, self._patterns)

    def listen(self, then: Callable[[], None] | None = None) -> None:
        """Keep the next call of the model, to find the symmetries with; call ``then`` at it."""
        self._first_call = FirstCall(self._model, self._optimizer, then)

    @property
    def in_training(self) -> bool:
        """Whether training has begun: the model was called, or has gradients."""
        if self._first_call is not None and self._first_call.in_training:
            return True
        groups = self._optimizer.param_groups
        return any(tensor.grad is not None for group in groups for tensor in group["params"])

    def take(self, found: Symmetries, unjudged: str) -> None:
        """What an earlier part of the job found.

        Raises:
            UserError: it is another model's.
        """
        if self.symmetries is None:
            self.symmetries, self.unjudged = found.bound(self._model), unjudged

    def begin(self) -> Symmetries:
        """Find the symmetries now, at the first step. Where they cannot be, say why."""
        first_call, self._first_call = self._first_call, None
        if self.symmetries is None and self._sharded:
            self.unjudged = f"its symmetries cannot be found: {SHARDED}"
            notice(f"{SHARDED}; all weights are watched as one and the run is not judged")
        elif self.symmetries is None and first_call is not None:
            try:
                self.symmetries = first_call.symmetries()
            except Exception as problem:  # whatever a model does that is called in another way
                self.unjudged = f"its symmetries cannot be found: {said(problem)}"
                notice(
                    f"{said(problem)}: all weights are watched as one and the run is not judged; "
                    "to have it judged, name what is scale-invariant (symmetries=[…])"
                )
        if first_call is not None:
            first_call.forget()
        if self.symmetries is None:
            self.symmetries = nothing_known(self._model)
        self._moved = moved_alike(self._optimizer)
        self._wait_for_later()
        return self.symmetries

    def groups(self) -> list[Watched]:
        """The tensors as they are measured together.

        Raises:
            UserError: the optimizer moves none of them.
        """
        assert self.symmetries is not None
        parameters = trainable(self._model)
        return watched_groups(
            self.symmetries, parameters, self._optimizer, each=bool(self.unjudged)
        )

    def has_changed(self) -> bool:
        """Whether other tensors are trained than before, or more is known of them."""
        moved = moved_alike(self._optimizer)
        if moved != self._moved:
            self._moved = moved
            self._meet_new()
            return True
        if self._first_call is None or not self._first_call.seen:
            return self._is_more_alive()
        first_call, self._first_call = self._first_call, None
        try:
            self.symmetries = first_call.symmetries()
        except Exception as problem:
            notice(f"{said(problem)}: what is trained now besides is taken for not invariant")
            return False
        return True

    def _wait_for_later(self) -> None:
        """Keep later calls, too, if the first one left trained tensors unused."""
        if self.unjudged or self.symmetries is None or self._sharded:
            return
        if not dead_names(self.symmetries):
            return
        self._later = LaterCalls(lambda: FirstCall(self._model, self._optimizer, latest=True))

    def _is_more_alive(self) -> bool:
        """Whether the newest call used what no call did so far, and what that says is known."""
        if self._later is None or self.symmetries is None:
            return False
        try:
            found = self._later.search(self.symmetries)
        except Exception as problem:
            notice(f"{said(problem)}: what the first call did not use is taken for not invariant")
            self._later.forget()
            self._later = None
            return False
        if found is None:
            return False
        self.symmetries = found
        return True

    def forget(self) -> None:
        """Remove every trace from the model."""
        if self._later is not None:
            self._later.forget()
            self._later = None
        if self._first_call is not None:
            self._first_call.forget()
            self._first_call = None

    def _meet_new(self) -> None:
        """Find out about tensors that were constants so far; until then they are ``other``."""
        assert self.symmetries is not None
        found = self.symmetries
        known = {*found.not_invariant, *(name for group in found.groups for name in group.names)}
        if self.unjudged or not set(trainable(self._model)) - known:
            return
        if self._sharded:
            return
        if self._patterns:
            self.symmetries = declared(self._model, self._patterns)
            return
        self.forget()
        self.listen()


def said(problem: Exception) -> str:
    """An error in one line; its kind, too, unless the words are ours."""
    lines = str(problem).strip().splitlines()
    text = lines[0].rstrip(".:") if lines else ""
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    if isinstance(problem, UserError):
        return text
    return f"{type(problem).__name__}: {text}" if text else type(problem).__name__


def _patterns(given: Any) -> list[str]:
    """Names and patterns, of one text or several.

    Raises:
        UserError: it is neither.
    """
    listed = [given] if isinstance(given, str) else given
    if isinstance(listed, Iterable):
        patterns = list(listed)
        if patterns and all(isinstance(each, str) for each in patterns):
            return patterns
    raise UserError(
        "symmetries must be what limitcycle.symmetries returns, or names or patterns of tensors, "
        f"not {type(given).__name__}"
    )
