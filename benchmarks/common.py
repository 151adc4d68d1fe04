"""What the benchmarks share: a row of the table, clocks, and processes of one's own.

A row compares two things that were measured in turn in one run, because timings of a shared machine
scatter by tens of per cent from one minute to the next and ratios do so much less. What changes a
process for good (the allocator, the number of threads) is measured in a process of its own.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Seconds = Callable[[], float]


class Timed(NamedTuple):
    """Something that took ``seconds``."""

    what: str
    seconds: float


@dataclass(frozen=True)
class Row:
    """Two things measured in turn.

    Attributes:
        what: is compared.
        a, b: the two.
        ratio: of a to b; the median of ratios where there are several.
        at_most, at_least: bounds on the ratio; None where there is none.
        within: bound on the seconds of ``a``.
    """

    what: str
    a: Timed
    b: Timed
    ratio: float
    at_most: float | None = None
    at_least: float | None = None
    within: float | None = None

    @property
    def ok(self) -> bool | None:
        """Whether every bound is kept; None where there is none."""
        kept = []
        if self.at_most is not None:
            kept.append(self.ratio <= self.at_most)
        if self.at_least is not None:
            kept.append(self.ratio >= self.at_least)
        if self.within is not None:
            kept.append(self.a.seconds <= self.within)
        return all(kept) if kept else None

    @property
    def bound(self) -> str:
        """The bounds in words."""
        words = []
        if self.at_most is not None:
            words.append(f"≤ {share(self.at_most)}")
        if self.at_least is not None:
            words.append(f"≥ {share(self.at_least)}")
        if self.within is not None:
            words.append(f"a ≤ {duration(self.within)}")
        return ", ".join(words)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, the verdict included."""
        return {**asdict(self), "a": self.a._asdict(), "b": self.b._asdict(), "ok": self.ok}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Row":
        """The inverse of `to_dict`."""
        plain = {name: value for name, value in content.items() if name != "ok"}
        return cls(**{**plain, "a": Timed(**content["a"]), "b": Timed(**content["b"])})


def compared(what: str, a: Timed, b: Timed, **bounds: float) -> Row:
    """A row whose ratio is that of its two times."""
    return Row(what, a, b, a.seconds / b.seconds, **bounds)


def in_turn(calls: Sequence[Seconds], rounds: int, warm: int = 0) -> NDArray[np.float64]:
    """What each call returns, one after the other, round by round: (rounds, calls).

    The first ``warm`` rounds are made besides and dropped.
    """
    found = [[call() for call in calls] for _ in range(warm + rounds)]
    return np.array(found[warm:], dtype=np.float64)


def paired(
    what: str, a: tuple[str, Seconds], b: tuple[str, Seconds], rounds: int, **bounds: float
) -> Row:
    """A row of two calls that return seconds, in turn; the first round warms up."""
    found = in_turn([a[1], b[1]], rounds, warm=1)
    first, second = np.median(found, axis=0)
    ratio = float(np.median(found[:, 0] / found[:, 1]))
    return Row(what, Timed(a[0], float(first)), Timed(b[0], float(second)), ratio, **bounds)


def clock(call: Callable[[], object], times: int = 1) -> float:
    """Mean seconds a call over ``times`` calls."""
    began = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - began) / times


class HookClock:
    """Time inside what is hooked to an optimizer between two calls of `stand`.

    Each hook is timed by itself, wherever it stands among the others: some put themselves last.
    """

    def __init__(self, optimizer: Any) -> None:
        self._tables = (
            optimizer._optimizer_step_pre_hooks,
            optimizer._optimizer_step_post_hooks,
        )
        self._known: set[int] = set()
        self._spent = 0.0

    def stand(self) -> None:
        """Time everything that was hooked since the last call, the first call apart."""
        for table in self._tables:
            for key in table:
                if self._known and key not in self._known:
                    table[key] = self._timed(table[key])
        self._known |= {-1, *(key for table in self._tables for key in table)}

    def take(self) -> float:
        """Seconds in the hooks since the last call."""
        spent, self._spent = self._spent, 0.0
        return spent

    def _timed(self, hook: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **settings: Any) -> Any:
            began = time.perf_counter()
            result = hook(*arguments, **settings)
            self._spent += time.perf_counter() - began
            return result

        return timed


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """What ``function`` returns in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def machine_in_words() -> str:
    """CPU model, cores, versions, and the settings that OpenMP and the allocator read."""
    import torch

    from limitcycle.lab.machine import cores

    told = ("OMP_", "KMP_", "GOMP_", "MKL_", "MALLOC_", "GLIBC_")
    named = sorted((name, value) for name, value in os.environ.items() if name.startswith(told))
    settings = [f"{name}={value}" for name, value in named]
    return (
        f"{_cpu()} ({platform.machine()}), {cores()} cores, torch {torch.__version__} with "
        f"{torch.get_num_threads()} threads, Python {platform.python_version()}, "
        f"{' '.join(settings) or 'no OpenMP or malloc settings'}"
    )


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or "CPU"


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| what | a | b | a / b | bound | ok |", "| --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        verdict = {True: "yes", False: "NO", None: "–"}[row.ok]
        cells = [row.what, _timed(row.a), _timed(row.b), share(row.ratio), row.bound, verdict]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _timed(timed: Timed) -> str:
    return f"{timed.what}: {duration(timed.seconds)}"


def duration(seconds: float) -> str:
    """Seconds in words of three digits: ``1.23 s``, ``45.6 ms``, ``789 µs``."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}" if seconds < 1000 * size else f"{seconds:.0f} s"
    return f"{seconds * 1e6:.3g} µs"


def share(ratio: float) -> str:
    """A ratio; small ones in per cent."""
    return f"{ratio:.3g}" if ratio >= 0.5 else f"{100 * ratio:.3g} %"


def shown(rows: Callable[[], list[Row]]) -> None:
    """Print where it is measured and ``rows()``: the main function of a benchmark."""
    print(machine_in_words(), flush=True)
    print(table(rows()))


def options(description: str | None) -> argparse.ArgumentParser:
    """A parser that shows the module's docstring as it is written."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
