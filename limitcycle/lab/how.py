"""Where and how runs are computed: no part of what they are."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch

from limitcycle.errors import UserError, did_you_mean
from limitcycle.lab import machine
from limitcycle.record import Run


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
    record_every: int = 1
    checkpoint_seconds: float = 20.0
    stop_after: float | None = None

    def __post_init__(self) -> None:
        if self.record_every < 1:
            raise UserError(f"record_every must be at least 1, not {self.record_every}")
        if self.stop_after is not None and not self.stop_after > 0:
            raise UserError(f"stop_after must be positive, not {self.stop_after}")
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
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as problem:
        reason = str(problem).splitlines()[0]
        meant = did_you_mean(str(device), ("cpu", "cuda"))
        raise UserError(f"device {str(device)!r} cannot be used{meant or ': ' + reason}") from None
    return found
