"""Several runs: one after the other in one process, and side by side in worker processes.

One after the other they are trained in one process by `limitcycle.train`, each with the threads
that it would have alone; side by side by one `limitcycle train`, each with its share of the cores.
Either way imports and the start of workers count. Both are timed in turn, round by round, and the
median of the rounds' ratios is printed.

Run: ``python benchmarks/workers.py``, on an idle machine. For a larger net: ``--net convnet --data
cifar10 --runs 4 --steps 100`` (LIMITCYCLE_DATA for CIFAR-10).
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from limitcycle.lab import machine, thread_budget, train
from limitcycle.record import Run

WAYS = ("one after the other", "side by side")


def main() -> None:
    """Time both ways and print a table and JSON, or go the first."""
    arguments = options()
    if arguments.alone:
        alone(arguments)
        return
    where = f"{platform.machine()}, {machine.cores()} cores, torch {torch.__version__}"
    print(f"{where}; {arguments.runs} runs of {arguments.steps:,} steps, {arguments.net} on "
          f"{arguments.data}\n{'round':5} {WAYS[0]:>20} {WAYS[1]:>20} {'ratio':>6}")  # fmt: skip
    rounds = []
    for number in range(1, arguments.rounds + 1):
        ways = WAYS if number % 2 else WAYS[::-1]
        seconds = {way: clock(way, arguments) for way in ways}
        serial, beside = (seconds[way] for way in WAYS)
        rounds.append({"alone_s": serial, "beside_s": beside, "ratio": serial / beside})
        print(f"{number:5} {serial:18.1f} s {beside:18.1f} s {serial / beside:6.2f}", flush=True)
    ratio = statistics.median(each["ratio"] for each in rounds)
    print(f"median ratio {ratio:.2f} on {arguments.workers} workers")
    del arguments.alone
    print(json.dumps({"where": where, **vars(arguments), "rounds": rounds, "ratio": ratio}))


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=16)
    parser.add_argument("--steps", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=machine.cores())
    parser.add_argument("--net", default="mlp")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def clock(way: str, arguments: argparse.Namespace) -> float:
    """Seconds of a process that goes one way."""
    with tempfile.TemporaryDirectory() as folder:
        if way == WAYS[0]:
            command = [__file__, *sys.argv[1:], "--alone", folder]
        else:
            run, *_ = every = runs(arguments)
            command = ["-m", "limitcycle", "train", "--out", folder, "--together", "1"]
            command += ["--no-compile"]  # as those that are trained one after the other
            command += ["--workers", str(arguments.workers), "--lr", *(repr(r.lr) for r in every)]
            for name in ("net", "data", "steps", "train_size", "test_size"):
                if (value := getattr(run, name)) is not None:
                    command += [f"--{name.replace('_', '-')}", str(value)]
        began = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, stderr=subprocess.DEVNULL)
        return time.perf_counter() - began


def alone(arguments: argparse.Namespace) -> None:
    """Make all runs, one after the other."""
    machine.own_process()
    for at, run in enumerate(runs(arguments)):
        train(run, arguments.alone / str(at), threads=thread_budget(run, at_once=1))


def runs(arguments: argparse.Namespace) -> list[Run]:
    """Equally long runs at different learning rates."""
    small = {"train_size": 2_048, "test_size": 500} if arguments.data != "digits" else {}
    rates = [0.1 * 10 ** (at / arguments.runs) for at in range(arguments.runs)]
    return [
        Run(net=arguments.net, data=arguments.data, lr=rate, steps=arguments.steps, **small)
        for rate in rates
    ]


if __name__ == "__main__":
    main()
