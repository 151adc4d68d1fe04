"""What nobody can know: the same weights, gone on with in other orders of the batches.

A run is stopped at 50, 75 and 90 % of a period and continued eight times, each with its own order
of the batches. How far apart the next jumps then begin is a limit: no forecast can be narrower that
does not know the batches to come. SGD on digits, three runs.

    python -m benchmarks.foresight.forks   # two minutes
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from limitcycle.lab.feed import batches
from limitcycle.lab.functional import differentiate
from limitcycle.lab.setup import Setup, prepare
from limitcycle.reading import diagnose
from limitcycle.record import Run

RUNS = (
    Run(lr=1.0, weight_decay=0.003, steps=1_500, seed=811, width=32),
    Run(lr=3.0, weight_decay=0.001, steps=1_500, seed=812, width=32),
    Run(lr=1.0, weight_decay=0.003, steps=1_500, seed=813),
)
SHARES = (0.5, 0.75, 0.9)
FORKS = 8
PERIODS = 6  # of each run that are forked
CLIMB = 1.03  # of the norm from its minimum on: a jump is sure then

State = dict[str, Any]


class Trained(NamedTuple):
    """A run with the state before each step."""

    setup: Setup
    states: list[State]
    table: pd.DataFrame


def trained(run: Run) -> Trained:
    """``run`` by plain SGD, each state kept."""
    setup = prepare(run, torch.device("cpu"))
    state, states, rows = dict(setup.state), [], []
    for step, (images, labels) in enumerate(batches(run, setup, 0, setup.total_steps)):
        states.append(state)
        norm = _norm(setup, state)
        state, loss = _step(setup, run, state, images, labels)
        rows.append({"step": step, "loss": loss, "norm": norm})
    table = pd.DataFrame(rows).assign(lr=run.lr, weight_decay=run.weight_decay, momentum=0.0)
    return Trained(setup, states, table)


def wait(made: Trained, run: Run, start: State, high: float, limit: int, seed: int) -> int:
    """Steps from ``start`` to the next jump, with an order of the batches of its own.

    Args:
        high: a loss that is no longer low.
        limit: steps after which it is given up.
    """
    state, lowest, left = start, math.inf, None
    for step, (images, labels) in enumerate(_orders(made.setup, seed)):
        if step >= limit:
            break
        state, loss = _step(made.setup, run, state, images, labels)
        norm = _norm(made.setup, state)
        lowest = min(lowest, norm)
        if loss > high and left is None:
            left = step
        if left is not None and step - left > 15 and norm <= CLIMB * lowest:
            left = None
        if left is not None and norm > CLIMB * lowest:
            return left
    return limit


def _orders(setup: Setup, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    random = torch.Generator().manual_seed(seed)
    images, labels, size = setup.data.train_images, setup.data.train_labels, setup.batch_size
    while True:
        order = torch.randperm(len(labels), generator=random)
        for first in range(0, len(labels) - size + 1, size):
            rows = order[first : first + size]
            yield images[rows], labels[rows]


def _step(
    setup: Setup, run: Run, state: State, images: Tensor, labels: Tensor
) -> tuple[State, float]:
    here = differentiate(setup.net, state, images, labels)
    weights = state["weights"]
    moved = weights - run.lr * (here.gradient + run.weight_decay * weights)
    return {**state, "weights": moved, "stats": here.stats}, float(here.loss)


def _norm(setup: Setup, state: State) -> float:
    return float(state["weights"][: setup.net.leading].norm())


def main() -> None:
    """Fork, and print the spread of the waits in units of the period."""
    torch.set_num_threads(1)
    rows = []
    for run in RUNS:
        made = trained(run)
        events = diagnose(made.table).events
        starts, tops = events["start"].to_numpy(), events["top"].to_numpy()
        loss = made.table["loss"].to_numpy()
        for index in range(1, min(len(starts) - 1, 1 + PERIODS)):
            period = int(starts[index + 1] - starts[index])
            calm = float(
                np.median(loss[(tops[index] + starts[index + 1]) // 2 : starts[index + 1]])
            )
            for share in SHARES:
                row = int(starts[index] + share * period)
                if row <= tops[index]:
                    continue
                high, limit = max(8 * calm, 0.03), 3 * period + 40
                waits = [
                    wait(made, run, made.states[row], high, limit, 100 * index + fork)
                    for fork in range(FORKS)
                ]
                low, middle, top = np.quantile(waits, [0.1, 0.5, 0.9]) / period
                rows.append({"share": share, "low": low, "middle": middle, "high": top})
    table = pd.DataFrame(rows).assign(width=lambda rows: rows["high"] - rows["low"])
    found = table.groupby("share").agg(
        intervals=("width", "size"), middle=("middle", "median"), width=("width", "median")
    )
    print(found.round(2).to_string())


if __name__ == "__main__":
    main()
