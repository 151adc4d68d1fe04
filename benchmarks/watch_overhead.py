"""What watching costs: time inside it ÷ time of the whole step, in one run.

Inside are the watch's hooks, `log`, and the reading of finished rows into tables, which falls into
the hook of one step in many: what a step costs by itself is a median, reading is spread over all
steps. With ``every`` above one a step stands for a whole round of so many.

ResNet-18 of width 64 at batch 128, with the lab's allocator and memory format, which make the step
short; and a perceptron of eleven small tensors on one thread, at the smallest batch whose step
takes a millisecond: there a few microseconds count.

    python -m benchmarks.watch_overhead                # 200 steps of the ResNet: four minutes
    python -m benchmarks.watch_overhead --steps 20     # of the ResNet: a minute
    python -m benchmarks.watch_overhead --only small   # the perceptron: seconds
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import limitcycle as lc
from benchmarks.common import HookClock, Row, Timed, clock, options, shown
from benchmarks.models import Bench, perceptron, resnet
from limitcycle.lab import machine

BATCHES = (64, 128, 192, 256, 384, 512, 768, 1024)
SHORT = 1e-3  # seconds of the short step
SHORT_STEPS = 5_000  # several readings among them
# What is asked of the watch → the share of a step that it may take.
SMALL: dict[str, tuple[dict[str, Any], float]] = {
    "norms, gradients, rates": ({"update": False}, 0.10),
    "and the measured update": ({}, 0.20),
    "every tenth step": ({"every": 10}, 0.02),
}


def rows(steps: int = 200, width: int = 64, batch: int = 128, only: str = "") -> list[Row]:
    """The ResNet's row and those of the short step."""
    machine.own_process()
    found = []
    if only in "large":
        bench = resnet(width, batch)
        found = [row("watch, ResNet-18, batch 128", bench, steps, {}, 0.01)]
    if only in "small":
        found += small(max(SHORT_STEPS if steps > 10 else steps, 10))
    return found


def small(steps: int) -> list[Row]:
    """The rows of a step of about a millisecond, on one thread."""
    with machine.threads(1):
        bench = one_millisecond()
        return [
            row(f"watch, 1 ms step: {name}", bench, steps, settings, share)
            for name, (settings, share) in SMALL.items()
        ]


def one_millisecond() -> Bench:
    """The perceptron at the smallest batch whose step takes `SHORT`."""
    for batch in BATCHES:
        bench = perceptron(batch)
        if np.median([clock(bench.step) for _ in range(100)]) >= SHORT:
            return bench
    return bench


def row(name: str, bench: Bench, steps: int, settings: dict[str, Any], at_most: float) -> Row:
    """One watch over one run."""
    inside, reading, whole = watched(bench, steps, settings)
    cost = np.median(inside) + reading.mean()
    ratio = np.median(inside / whole) + reading.sum() / whole.sum()
    return Row(
        name,
        Timed("hooks", float(cost)),
        Timed("step", float(np.median(whole))),
        float(ratio),
        at_most=at_most,
    )


def watched(
    bench: Bench, steps: int, settings: dict[str, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Seconds inside the watch without reading, of reading, and of the step: a round each."""
    every = settings.get("every", 1)
    hooks = HookClock(bench.optimizer)
    hooks.stand()
    found = []
    with lc.watch(bench.net, bench.optimizer, bench.symmetries, quiet=True, **settings) as watch:
        hooks.stand()
        spent = counted(watch, "_read")
        for count in range(steps + every):
            if count == every:
                assert len(watch.steps)  # the first reading warms up, too
            spent.clear()
            began = time.perf_counter()
            loss = bench.step()
            stepped = time.perf_counter()
            watch.log(loss=loss)
            ended = time.perf_counter()
            inside = hooks.take() + ended - stepped - sum(spent)
            found.append((inside, sum(spent), ended - began))
    rounds = np.array(found[every:]).reshape(-1, every, 3).mean(axis=1)  # the first warms up
    inside, reading, whole = rounds.T
    return inside, reading, whole


def counted(owner: Any, name: str) -> list[float]:
    """The seconds of each call of a method from now on."""
    method: Callable[[], None] = getattr(owner, name)
    spent: list[float] = []
    setattr(owner, name, lambda: spent.append(clock(method)))
    return spent


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", default="", choices=("", "large", "small"))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    shown(lambda: rows(given.steps, given.width, given.batch, given.only))


if __name__ == "__main__":
    main()
