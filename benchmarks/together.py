"""Many runs as one: microseconds a run and step, against runs by themselves.

On the CPU two single-threaded processes work at the same time, each on one run or on K as one; on
CUDA one process does. Everything that a run costs once it is prepared is counted: training,
evaluation every epoch, recording, the last checkpoint. The variants take turns; the medians over
the rounds are printed, and the medians of the rounds' ratios. CPU time is less sensitive to what
else the machine does, and says the same where the processes have a core each.
Run: ``python benchmarks/together.py`` (``--seeds`` gives every run its own order of the data).
"""

import argparse
import json
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from limitcycle.lab import machine, train
from limitcycle.lab.how import How
from limitcycle.lab.together import train_together
from limitcycle.record import Run

LEAST_SHARE = 0.06  # of these steps that each run makes


def main() -> None:
    """Measure every number of runs and print a table and JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=12_000, help="of all runs together")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--net", default="mlp")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--width", type=int)
    parser.add_argument("--train-size", type=int)
    parser.add_argument("--resolution", type=int)
    parser.add_argument("--seeds", action="store_true", help="an order of the data each")
    options = vars(parser.parse_args())
    numbers, rounds, steps = (options.pop(name) for name in ("runs", "rounds", "steps"))
    device, seeds = options.pop("device"), options.pop("seeds")
    processes = 1 if device != "cpu" else 2
    base = Run(**options)
    times: dict[int, list[tuple[float, float]]] = {number: [] for number in numbers}
    with ProcessPoolExecutor(processes, get_context("forkserver"), machine.own_process) as pool:
        for _ in range(rounds + 1):
            for number in numbers:
                each = replace(base, steps=int(steps * max(1 / number, LEAST_SHARE)))
                task = (each, number, device, seeds)
                done = [pool.submit(measure, *task) for _ in range(processes)]
                elapsed, cpu = zip(*(each.result() for each in done), strict=True)
                scale = 1e6 / processes
                times[number].append(
                    (statistics.mean(elapsed) * scale, statistics.mean(cpu) * scale)
                )
    report({number: each[1:] for number, each in times.items()}, device, processes)


class Clock:
    """Begins when it is first asked whether to stop: when the run has been prepared."""

    def __init__(self) -> None:
        self._began: tuple[float, float] | None = None

    def __call__(self) -> bool:
        """No, do not stop."""
        self._began = self._began or self._now()
        return False

    def seconds(self) -> tuple[float, float]:
        """Elapsed, and of the CPU, since it began."""
        assert self._began is not None, "nothing was trained"
        now = self._now()
        return now[0] - self._began[0], now[1] - self._began[1]

    def _now(self) -> tuple[float, float]:
        return time.perf_counter(), time.process_time()


def measure(base: Run, number: int, device: str, seeds: bool) -> tuple[float, float]:
    """Seconds a run and step of ``number`` runs as one; of a run by itself if that is 1."""
    rates = np.geomspace(0.01, 10, number) if number > 1 else [0.3]
    runs = [replace(base, lr=float(lr), seed=i if seeds else 0) for i, lr in enumerate(rates)]
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        outs = [Path(folder) / str(i) for i in range(number)]
        if number == 1:
            train(runs[0], outs[0], device=device, threads=1, should_stop=clock)
        else:
            train_together(runs, outs, How(device=device, threads=1), should_stop=clock)
        elapsed, cpu = clock.seconds()
    made = number * (base.steps or 0)
    return elapsed / made, cpu / made


def report(times: dict[int, list[tuple[float, float]]], device: str, processes: int) -> None:
    """Print medians and ratios against one run at a time."""
    where = f"{machine.device_name(torch.device(device))}, torch {torch.__version__}"
    print(f"{where}, {processes} processes of one thread; µs a run and step")
    print(
        f"{'runs as one':>12} {'elapsed':>9} {'times as fast':>14} {'CPU':>9} {'times as fast':>14}"
    )
    results = {}
    for number, each in times.items():
        row = {}
        for kind, mine, alone in zip(
            ("elapsed", "cpu"),
            zip(*each, strict=True),
            zip(*times[min(times)], strict=True),
            strict=True,
        ):
            ratio = statistics.median(a / b for a, b in zip(alone, mine, strict=True))
            row |= {f"{kind}_us": statistics.median(mine), f"{kind}_ratio": ratio}
        print(
            f"{number:12} {row['elapsed_us']:9.1f} {row['elapsed_ratio']:14.2f}"
            f" {row['cpu_us']:9.1f} {row['cpu_ratio']:14.2f}"
        )
        results[number] = row
    print(json.dumps({"where": where, "results": results}))


if __name__ == "__main__":
    main()
