"""How often a step has a row where watching may take a share of the training's time."""

import math
import time
from collections import deque
from collections.abc import Callable
from statistics import median

from limitcycle.errors import UserError

_WARM_UP = 2  # rows: the first one finds what is scale-invariant, buffers are made
_LOOKS = 5  # newest rows that count: a step's length may change
MOST = 1_000  # steps between rows: with fewer rows no jump is seen


class Budget:
    """The steps between rows that keep to a share of the time.

    A row costs the time inside the hooks. What a step takes by itself is what lies between two
    rows without that. The newest rows decide, so it follows a training that becomes slower.

    Args:
        share: of the training's time that rows may take, above 0 and below 1.
        clock: seconds.

    Attributes:
        every: steps from the newest row to the next one.
        cost: of a row, seconds; NaN before it is known.
        pace: of a step without its row, seconds; likewise.

    Raises:
        UserError: there is no such share.
    """

    def __init__(self, share: float, clock: Callable[[], float] = time.perf_counter) -> None:
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
            raise UserError(
                f"budget must be a share of the time, 0.01 for one per cent, not {share!r}"
            )
        self.share = float(share)
        self.every = 1
        self.cost = self.pace = math.nan
        self._clock = clock
        self._costs: deque[float] = deque(maxlen=_LOOKS)
        self._paces: deque[float] = deque(maxlen=_LOOKS)
        self._rows = 0
        self._began = self._spent = 0.0
        self._last: tuple[int, float, float] | None = None  # step, when it began, what it cost

    def begin(self) -> None:
        """A row begins: the hook before its step was called."""
        self._began = self._clock()

    def pause(self) -> None:
        """That hook is done: the optimizer's step follows."""
        self._spent = self._clock() - self._began

    def end(self, step: int, called: float) -> bool:
        """The hook after its step is done; whether ``every`` is another now.

        Args:
            step: which one it was.
            called: when that hook was called, by `now`.
        """
        cost = self._spent + self._clock() - called
        last, self._last = self._last, (step, self._began, cost)
        self._rows += 1
        if last is None or self._rows <= _WARM_UP:
            return False
        before, began, spent = last
        self._paces.append((self._began - began - spent) / (step - before))
        self._costs.append(cost)
        if len(self._costs) < _LOOKS:
            return False
        self.cost, self.pace = median(self._costs), median(self._paces)
        fitting = min(MOST, max(1, math.ceil(self.cost / (self.share * max(self.pace, 1e-9)))))
        changed, self.every = fitting != self.every, fitting
        return changed

    def now(self) -> float:
        """Seconds, by the same clock."""
        return self._clock()

    def __str__(self) -> str:
        """What it came to, in words."""
        return (
            f"a row costs {1e3 * self.cost:.2g} ms, a step {1e3 * self.pace:.2g} ms: "
            f"{_every(self.every)} has a row, to keep to {100 * self.share:.2g} % of the time"
        )


def _every(steps: int) -> str:
    return "every step" if steps == 1 else f"one step in {steps:,}"
