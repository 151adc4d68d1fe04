"""Sweeps on a cluster with a checkpoint twice a second: ADDRESS STORAGE OUT STEPS. Says all."""

import sys
from pathlib import Path

from limitcycle.lab import Cluster, Job, sweep_on
from limitcycle.record import Run


def jobs(out: Path, steps: int) -> list[Job]:
    """Four runs of the digits MLP."""
    return [Job(Run(lr=lr, steps=steps), out / f"{lr:g}") for lr in (0.1, 0.3, 1.0, 3.0)]


if __name__ == "__main__":
    address, storage, out, steps = sys.argv[1:]
    for outcome in sweep_on(
        Cluster(storage, address),
        jobs(Path(out), int(steps)),
        settings={"checkpoint_seconds": 0.5},
        notice=lambda number, text: print(number, text, flush=True),
    ):
        print(outcome)
