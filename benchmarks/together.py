"""Many runs as one: microseconds a run and step, against runs by themselves.

On the CPU two single-threaded processes work at the same time, each on one run or on K as one; on
CUDA one process does. Everything that a run costs once it is prepared is counted: training,
evaluation every epoch, recording. The variants take turns; the medians over the rounds are printed,
and the medians of the rounds' ratios.
Run: ``python benchmarks/together.py`` (``--seeds`` gives every run its own order of the data).
"""

import argparse
import json
import platform
import statistics
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from limitcycle.lab import machine, train
from limitcycle.lab.how import How
from limitcycle.lab.together import train_together
from limitcycle.record import LoadedRun, Run
from limitcycle.record.files import read_json

RUN_STEPS = 6_000  # of all runs of a measurement together
LEAST_STEPS = 240  # of each


def main() -> None:
    """Measure every number of runs and print a table and JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--net", default="mlp")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--width", type=int)
    parser.add_argument("--train-size", type=int)
    parser.add_argument("--resolution", type=int)
    parser.add_argument("--seeds", action="store_true", help="an order of the data each")
    options = vars(parser.parse_args())
    numbers, rounds = options.pop("runs"), options.pop("rounds")
    device, seeds = options.pop("device"), options.pop("seeds")
    processes = 1 if device != "cpu" else 2
    base = Run(**options)
    times: dict[int, list[float]] = {number: [] for number in numbers}
    with ProcessPoolExecutor(processes, get_context("forkserver"), machine.own_process) as pool:
        for _ in range(rounds + 1):
            for number in numbers:
                task = (base, number, device, seeds)
                done = [pool.submit(measure, *task) for _ in range(processes)]
                seconds = statistics.mean(each.result() for each in done)
                times[number].append(seconds / processes * 1e6)
    report({number: each[1:] for number, each in times.items()}, device, processes)


def measure(base: Run, number: int, device: str, seeds: bool) -> float:
    """Seconds a run and step of ``number`` runs as one; of a run by itself if that is 1."""
    steps = max(LEAST_STEPS, RUN_STEPS // number)
    settings = {**base.to_dict(), "steps": steps}
    rates = np.geomspace(0.01, 10, number) if number > 1 else [0.3]
    runs = [
        Run(**{**settings, "lr": float(lr), "seed": i if seeds else 0})
        for i, lr in enumerate(rates)
    ]
    with tempfile.TemporaryDirectory() as folder:
        outs = [Path(folder) / str(i) for i in range(number)]
        if number == 1:
            ended = [train(runs[0], outs[0], device=device, threads=1)]
        else:
            ended = train_together(runs, outs, How(device=device, threads=1))
        return sum(map(spent, ended)) / (number * steps)


def spent(run: LoadedRun) -> float:
    """The seconds that went into a run."""
    return sum(read_json(run.path / "timing.json")["seconds"].values())


def report(times: dict[int, list[float]], device: str, processes: int) -> None:
    """Print medians and ratios against one run at a time."""
    where = f"{machine.device_name(torch.device(device))}, torch {torch.__version__}"
    print(f"{where}, {platform.machine()}, {processes} processes of one thread")
    print(f"{'runs as one':>12} {'µs a run and step':>18} {'times as fast':>14}")
    results = {}
    alone = times[min(times)]
    for number, each in times.items():
        ratio = statistics.median(a / b for a, b in zip(alone, each, strict=True))
        print(f"{number:12} {statistics.median(each):18.1f} {ratio:14.2f}")
        results[number] = {"us": statistics.median(each), "ratio": ratio, "all_us": each}
    print(json.dumps({"where": where, "results": results}))


if __name__ == "__main__":
    main()
