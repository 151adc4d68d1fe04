"""Where and how runs are computed: no part of what they are."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch

from limitcycle.checks import abridged, finite, positive, shown, whole
from limitcycle.errors import UserError, did_you_mean
from limitcycle.lab import machine
from limitcycle.record import Run

_REASON = 300  # letters of what torch says of a device


@dataclass(frozen=True)
class How:
    """Settings of `limitcycle.lab.train`, which says what they mean.

    Raises:
        UserError: one cannot be.
    """

    device: str | torch.device = "cpu"
    threads: int | None = None
    precision: machine.Precision = "highest"
    graph: bool = True
    compile: bool | None = None
    record_every: int = 1
    checkpoint_seconds: float = 20.0
    stop_after: float | None = None

    def __post_init__(self) -> None:
        whole("record_every", self.record_every)
        if finite("checkpoint_seconds", self.checkpoint_seconds) < 0:
            raise UserError("checkpoint_seconds must not be negative")
        if self.stop_after is not None:
            positive("stop_after", self.stop_after)
        machine.check_threads(self.threads)
        object.__setattr__(self, "device", _usable(self.device))
        machine.check_precision(self.precision, self.where)

    @property
    def where(self) -> torch.device:
        """The device."""
        return cast(torch.device, self.device)

    @property
    def graphs(self) -> bool:
        """Whether steps are replayed as CUDA graphs."""
        return self.graph and self.where.type == "cuda"

    @contextlib.contextmanager
    def computing(self, run: Run) -> Iterator[dict[str, Any]]:
        """Inside, runs like ``run`` are computed so; yields what their ``run.json`` says of it."""
        if self.precision != "highest" and run.dtype != "float32":
            raise UserError(f"precision {self.precision} is for float32, the run is of {run.dtype}")
        where = self.where
        with (
            machine.threads(self.threads) as used,
            machine.current(where),
            machine.products(self.precision, where),
        ):
            yield machine.describe(where, used, self.precision)

    def until(self, should_stop: Callable[[], bool]) -> Callable[[], bool]:
        """Whether to stop: because somebody asks to, or the time that begins now is over."""
        deadline = time.monotonic() + (self.stop_after or float("inf"))
        return lambda: should_stop() or time.monotonic() > deadline


def _usable(device: str | torch.device) -> torch.device:
    if not isinstance(device, str | torch.device):
        raise UserError(f"device must be a name such as cpu or cuda, not {shown(device)}")
    try:
        found = torch.device(device)
        # Norms are summed in float64, and read back: not every kind of device can do both.
        float(torch.zeros(1, dtype=torch.float64, device=found))
    except (RuntimeError, AssertionError, TypeError, ValueError) as problem:
        reason = abridged(str(problem).splitlines()[0], _REASON)
        meant = did_you_mean(str(device), ("cpu", "cuda"))
        raise UserError(
            f"device {shown(str(device))} cannot be used{meant or ': ' + reason}"
        ) from None
    return found
