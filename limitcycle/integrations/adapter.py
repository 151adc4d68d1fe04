"""What the callbacks of trainers share: a watch for as long as a training lasts.

A trainer gives its callbacks their base class, and to import it is to import the trainer. So a
callback finds its base when it is made, not when it is defined: the class that was called is
completed then, once for each set of bases.
"""

import functools
from collections.abc import Mapping
from typing import Any, Self, cast

from torch import Tensor, nn
from torch.optim import Optimizer

from limitcycle.errors import UserError
from limitcycle.reading import Diagnosis, RunData, diagnose
from limitcycle.watching import Watch, watch


class Adapter:
    """A trainer's callback that holds a `limitcycle.Watch` from a training's begin to its end.

    Args:
        sink: as of `limitcycle.watch`, as are the ``settings``.

    Attributes:
        watch: of the training that runs or ran last; None before the first.
    """

    def __new__(cls, *_args: Any, **_settings: Any) -> Self:
        """An instance of the class that has the trainer's base, too."""
        return cast("Self", object.__new__(_completed(cast("Any", cls), cls._bases())))

    def __init__(self, sink: Any, **settings: Any) -> None:
        self.watch: Watch | None = None
        self._settings = {"sink": sink, **settings}
        self._loss: Tensor | None = None
        self._hook: Any = None

    def __reduce__(self) -> Any:  # a completed class cannot be found by its name
        return _made, (self._defined,), vars(self)

    @classmethod
    def _bases(cls) -> tuple[type, ...]:
        """The trainer's own class of callbacks."""
        raise NotImplementedError

    @property
    def _defined(self) -> type["Adapter"]:
        """The class as it was before it was completed."""
        return next(kind for kind in type(self).__mro__ if "_completes" not in vars(kind))

    def diagnosis(self) -> Diagnosis:
        """What the training is doing, as `limitcycle.Watch.diagnosis`.

        Raises:
            UserError: no training has begun.
        """
        return diagnose(self)

    def run_data(self) -> RunData:
        """What `limitcycle.diagnose` asks for.

        Raises:
            UserError: no training has begun.
        """
        if self.watch is None:
            raise UserError("there is nothing to diagnose: the training has not begun")
        return self.watch.run_data()

    def close(self, state: str = "stopped", reason: str = "") -> None:
        """Let go of model, optimizer and folder, where a training ended without saying so."""
        if self._hook is not None:
            self._hook.remove()
            self._hook, self._loss = None, None
        if self.watch is not None:
            self.watch.close(state, reason)

    def _open(
        self, model: nn.Module, optimizer: Optimizer, state: Mapping[str, Any] | None
    ) -> None:
        """Begin to watch; at the step of ``state`` where a training goes on."""
        self.watch = watch(model, optimizer, **self._settings)
        if state is not None:
            self.watch.load_state_dict(state)
        # Behind the hooks of the watch: the loss is said of the step that has just been made.
        self._hook = self.watch.follow(self._say)

    def _say(self, *_: Any) -> None:
        if self.watch is not None and self._loss is not None:
            self.watch.log(loss=self._loss)
        self._loss = None


def ending(problem: BaseException | None) -> tuple[str, str]:
    """State and reason of a training that ``problem`` ended; None: nobody knows what did."""
    if problem is None:
        return "stopped", "the training did not come to its end"
    stopped = isinstance(problem, KeyboardInterrupt | SystemExit)
    return "stopped" if stopped else "failed", f"{type(problem).__name__}: {problem}"


def unscaled(loss: Tensor, scaler: Any) -> Tensor:
    """``loss`` without the factor of a `torch.amp.GradScaler`, which stays on the device."""
    return loss if scaler is None else loss / scaler.scale(loss.new_ones(()))


@functools.cache
def _completed(cls: type, bases: tuple[type, ...]) -> type:
    """``cls`` with ``bases`` behind it, under its own name."""
    missing = tuple(base for base in bases if not issubclass(cls, base))
    named = {"__module__": cls.__module__, "__doc__": cls.__doc__, "_completes": cls}
    return type(cls.__name__, (cls, *missing), named) if missing else cls


def _made(cls: type[Adapter]) -> Adapter:
    return cls.__new__(cls)
