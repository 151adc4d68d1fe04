"""Several runs: one after the other in one process, and side by side in worker processes.

Either way is a whole program, its imports and the start of its workers included; both are timed
in turn, round by round, and the median of the rounds' ratios is printed. One after the other, a run
has the threads that it would have alone; side by side it has its share of the cores.

Run: ``python benchmarks/workers.py``, on an idle machine. For a larger net: ``--net convnet --data
cifar10 --runs 4 --steps 40`` (LIMITCYCLE_DATA for CIFAR-10).
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

from limitcycle.lab import Job, machine, sweep, thread_budget, train
from limitcycle.record import Run

WAYS = ("one after the other", "side by side")


def main() -> None:
    """Time both ways and print a table and JSON, or go one of them."""
    arguments = options()
    if arguments.way:
        go(arguments)
        return
    where = f"{platform.machine()}, {machine.cores()} cores, torch {torch.__version__}"
    print(f"{where}; {arguments.runs} runs of {arguments.steps:,} steps, {arguments.net} on "
          f"{arguments.data}\n{'round':5} {WAYS[0]:>20} {WAYS[1]:>20} {'ratio':>6}")  # fmt: skip
    rounds = []
    for number in range(1, arguments.rounds + 1):
        ways = WAYS if number % 2 else WAYS[::-1]
        seconds = {way: clock(way) for way in ways}
        alone, beside = (seconds[way] for way in WAYS)
        rounds.append({"alone_s": alone, "beside_s": beside, "ratio": alone / beside})
        print(f"{number:5} {alone:18.1f} s {beside:18.1f} s {alone / beside:6.2f}", flush=True)
    ratio = statistics.median(each["ratio"] for each in rounds)
    print(f"median ratio {ratio:.2f} on {arguments.workers} workers")
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
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    return parser.parse_args()


def clock(way: str) -> float:
    """Seconds of a process that goes one way."""
    began = time.perf_counter()
    subprocess.run([sys.executable, __file__, *sys.argv[1:], "--way", way], check=True)
    return time.perf_counter() - began


def go(arguments: argparse.Namespace) -> None:
    """Make all runs, one way."""
    with tempfile.TemporaryDirectory() as folder:
        jobs = [Job(run, Path(folder) / str(at)) for at, run in enumerate(runs(arguments))]
        if arguments.way == WAYS[1]:
            outcomes = sweep(jobs, workers=arguments.workers)
            assert all(outcome.state == "done" for outcome in outcomes), outcomes
            return
        machine.own_process()
        for job in jobs:
            train(job.run, job.out, threads=thread_budget(job.run, at_once=1))


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
