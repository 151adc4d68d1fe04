"""What the callbacks of trainers share: a watch for as long as a training lasts.

A trainer gives its callbacks their base class, and to import it is to import the trainer. So a
callback finds its base when it is made, not when it is defined: the class that was called is
completed then, once for each set of bases.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Self, cast

from torch import Tensor, nn
from torch.optim import Optimizer

from limitcycle.errors import UserError
from limitcycle.reading import Diagnosis, Forecast, RunData, diagnose
from limitcycle.watching import Watch, watch
from limitcycle.watching.notice import notice

OnAlarm = Callable[[Forecast], object]


class Adapter:
    """A trainer's callback that holds a `limitcycle.Watch` from a training's begin to its end.

    Args:
        sink: as of `limitcycle.watch`, as are the ``settings``.
        on_alarm: called with the forecast when a jump is about to begin, once a jump.
        forecast_every: steps between two looks.

    Attributes:
        watch: of the training that runs or ran last; None before the first.
    """

    def __new__(cls, *_args: Any, **_settings: Any) -> Self:
        """An instance of the class that has the trainer's base, too."""
        return cast("Self", object.__new__(_completed(cast("Any", cls), cls._bases())))

    def __init__(
        self,
        sink: Any,
        *,
        on_alarm: OnAlarm | None = None,
        forecast_every: int = 100,
        **settings: Any,
    ) -> None:
        self.watch: Watch | None = None
        if isinstance(forecast_every, bool) or not isinstance(forecast_every, int | float):
            raise UserError(f"forecast_every must be a number of steps, not {forecast_every!r}")
        if forecast_every < 1:
            raise UserError(f"forecast_every must be at least 1, not {forecast_every}")
        self._on_alarm, self._forecast_every = on_alarm, int(forecast_every)
        self._alarmed = False
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
        self,
        model: nn.Module,
        optimizers: Optimizer | list[Optimizer],
        state: Mapping[str, Any] | None,
    ) -> None:
        """Begin to watch; at the step of ``state`` where a training goes on."""
        self.watch = watch(model, optimizers, **self._settings)
        if state is not None:
            self.watch.load_state_dict(state)
        # Behind the hooks of the watch: the loss is said of the step that has just been made.
        self._hook = self.watch.follow(self._say)

    def _say(self, *_: Any) -> None:
        if self.watch is not None and self._loss is not None:
            self.watch.log(loss=self._loss)
        self._loss = None
        self._look_ahead()

    def _look_ahead(self) -> None:
        """Call what waits for an alarm, when one begins."""
        if self._on_alarm is None or self.watch is None:
            return
        if self.watch.step % self._forecast_every:
            return
        found = self.watch.forecast()
        if found.alarm and not self._alarmed:
            try:
                self._on_alarm(found)
            except Exception as problem:  # a training that is only watched goes on
                self._on_alarm = None
                notice(f"on_alarm failed ({problem!r}) and is called no more")
        self._alarmed = found.alarm

    def forecast(self) -> Forecast:
        """When the next jump comes, as `limitcycle.Watch.forecast`.

        Raises:
            UserError: no training has begun.
        """
        if self.watch is None:
            raise UserError("there is nothing to forecast: the training has not begun")
        return self.watch.forecast()


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
