"""Does what is advised help? Jumps, and other spikes, as they were and as advised.

Jumps: the trainings of `benchmarks.jumps` go on from the moment of the advice in each way that it
knows. Other spikes: each case as it was, and as advised against its cause.

The trainings are those of `benchmarks.causes`. A case whose spike was named goes on once more from
the same seed, and from fifty steps before the spike on as the advice says: gradients clipped at
three times their usual norm, a learning rate that rises ten times as slowly, an optimizer that
keeps its state. What counts is the highest loss behind the step, and the loss at the end.

    python -m benchmarks.remedies                 # three seeds, about twenty minutes
    python -m benchmarks.remedies --only spikes   # about six
"""

import argparse
import sys
from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmarks import jumps
from benchmarks.causes import Case, Remedy, cases, train
from benchmarks.common import machine_in_words
from limitcycle.reading import diagnose

BEFORE = 50  # steps before the spike at which a checkpoint is gone on from
USUAL = 150  # steps over which the usual norm of the gradient is taken


def remedy_of(case: Case, step: int, groups: pd.DataFrame) -> Remedy:
    """What the advice asks for, as a setting of the training."""
    if case.cause in ("learning rate", "optimizer"):
        return Remedy(kept=True)
    squares = groups.assign(square=groups["grad_norm"] ** 2).groupby("step")["square"].sum()
    usual = np.sqrt(squares[(squares.index >= step - USUAL) & (squares.index < step - 5)]).median()
    return Remedy(clip=3 * float(usual), since=step - BEFORE)


def main() -> None:
    """Print the machine and both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=700)
    parser.add_argument("--only", choices=("jumps", "spikes"))
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    print(machine_in_words(), flush=True)
    if options.only != "spikes":
        print(jumps.table(_jumping(seeds)), flush=True)
    if options.only != "jumps":
        print(_spiked(seeds))


def _jumping(seeds: Sequence[int]) -> list[jumps.Outcome]:
    found = []
    for setting in jumps.SETTINGS:
        for seed in seeds:
            for outcome in jumps.follow(setting, seed):
                found.append(outcome)
                print(f"... {outcome}", file=sys.stderr, flush=True)
    return found


def _spiked(seeds: Sequence[int]) -> str:
    """Train each case twice: medians of what came."""
    rows = []
    for seed in seeds:
        for case in cases(seed):
            if case.cause == "effective learning rate":
                continue
            before = train(case, seed)
            steps = before.steps
            found = diagnose(steps)
            rises = pd.concat([found.spikes, found.changes])
            rises = rises[rises["cause"] == case.cause]
            if rises.empty:
                continue
            step = int(rises["start"].iloc[0])
            after = train(case, seed, remedy_of(case, step, before.groups)).steps
            rows.append(
                {
                    "case": case.name,
                    "highest before": _highest(steps, step),
                    "after": _highest(after, step),
                    "at the end before": _end(steps),
                    "end after": _end(after),
                }
            )
            print(f"... {rows[-1]}", file=sys.stderr, flush=True)
    table = pd.DataFrame(rows).groupby("case")
    return table.median().assign(runs=table.size()).to_string(float_format="{:.3g}".format)


def _highest(steps: pd.DataFrame, step: int) -> float:
    behind = steps[steps["step"] > step + 1]  # the spoilt batch's own loss is as it is
    return float(behind["loss"].head(100).max())


def _end(steps: pd.DataFrame) -> float:
    return float(steps["loss"].tail(50).median())


if __name__ == "__main__":
    main()
