"""Does what is advised against the cause of a spike help? Each case as it was, and as advised.

The trainings are those of `benchmarks.causes`. A case whose spike was named goes on once more from
the same seed, and from fifty steps before the spike on as the advice says: gradients clipped at
three times their usual norm, a learning rate that rises ten times as slowly, an optimizer that
keeps its state. What counts is the highest loss behind the step, and the loss at the end.

    python -m benchmarks.remedies --seeds 3     # about six minutes
"""

import argparse

import numpy as np
import pandas as pd

from benchmarks.causes import Case, Remedy, cases, train
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
    """Train each case twice and print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=700)
    options = parser.parse_args()
    rows = []
    for seed in range(options.first, options.first + options.seeds):
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
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows).groupby("case")
    print(table.median().assign(runs=table.size()).to_string(float_format="{:.3g}".format))


def _highest(steps: pd.DataFrame, step: int) -> float:
    behind = steps[steps["step"] > step + 1]  # the spoilt batch's own loss is as it is
    return float(behind["loss"].head(100).max())


def _end(steps: pd.DataFrame) -> float:
    return float(steps["loss"].tail(50).median())


if __name__ == "__main__":
    main()
