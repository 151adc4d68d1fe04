"""The lab's engine against the conventional loop at the same work, and which cause saves what.

The same work: train, and at the start and after every epoch all metrics of the paper's Figure 2
(losses and errors on both sets, effective learning rate, effective gradient norm): ConvNet of width
32 on real CIFAR-10 at 32×32, batch 128. Seconds are those of training, evaluating and recording;
starting Python, decoding the data and finding symmetries are left out on both sides. Every run has
a process of its own, in turn.

The causes are a chain: each run has one thing more than the one before, and their ratios multiply
to the whole.

    python -m benchmarks.versus                    # four minutes on two cores
    python -m benchmarks.versus --only whole       # without the chain
"""

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Row, Timed, alone, compared, in_turn, options, shown
from benchmarks.conventional import RUN, Aids, Spent, fair, go
from limitcycle.lab import machine, train
from limitcycle.record import Run
from limitcycle.record.files import read_json

AT_LEAST = 3.0  # with metrics recorded as training goes
AT_LEAST_PASS = 1.7  # with the paper's additional pass
# What the conventional loop is given, one after the other.
CHAIN = {
    "freed memory kept (glibc thresholds)": Aids(allocator=True),
    "channels-last memory": Aids(allocator=True, channels_last=True),
    "images resident, batches by index": Aids(allocator=True, channels_last=True, resident=True),
}

Start = Callable[..., Any]


def rows(run: Run = RUN, rounds: int = 2, only: str = "", start: Start = alone) -> list[Row]:
    """The comparison, the fairness of its rival, and the chain of causes."""
    start(engine_seconds, _shortest(run), False)  # decodes the data, finds the symmetries
    spent: list[Spent] = []

    def conventional() -> float:
        spent.append(start(go, run))
        return spent[-1].total

    calls = [conventional, *(lambda p=p: start(engine_seconds, run, p) for p in (False, True))]
    found = in_turn(calls, rounds)
    slow, fast, passing = (float(value) for value in np.median(found, axis=0))
    rival = Timed("conventional loop", slow)
    compare = [
        Row(
            "training and Figure 2's metrics, recorded as it goes",
            rival,
            Timed("lab", fast),
            float(np.median(found[:, 0] / found[:, 1])),
            at_least=AT_LEAST,
        ),
        Row(
            "training and Figure 2's metrics, with the additional pass",
            rival,
            Timed("lab", passing),
            float(np.median(found[:, 0] / found[:, 2])),
            at_least=AT_LEAST_PASS,
        ),
        fair(spent),
    ]
    return compare if only == "whole" else [*compare, *causes(run, rival, passing, fast, start)]


def causes(run: Run, rival: Timed, passing: float, fast: float, start: Start) -> list[Row]:
    """What each thing of the chain saves of the whole."""
    links = [rival]
    for name, aids in CHAIN.items():
        links.append(Timed(name, start(go, run, aids).total))
    links.append(Timed("one additional pass in place of three, no reloading", passing))
    links.append(Timed("metrics as it goes, no pass over the training set", fast))
    return [
        compared(
            f"cause: {after.what}", before._replace(what="without"), after._replace(what="with")
        )
        for before, after in itertools.pairwise(links)
    ]


def engine_seconds(run: Run, train_pass: bool) -> float:
    """Seconds of the lab for the whole run."""
    machine.own_process()
    run = Run(**{**run.to_dict(), "train_pass": train_pass})
    with tempfile.TemporaryDirectory() as folder:
        train(run, Path(folder) / "run")
        return float(sum(read_json(Path(folder) / "run" / "timing.json")["seconds"].values()))


def _shortest(run: Run) -> Run:
    return Run(**{**run.to_dict(), "epochs": None, "steps": 1, "train_size": 128, "test_size": 128})


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--train-size", type=int, default=RUN.train_size)
    parser.add_argument("--test-size", type=int, default=RUN.test_size)
    parser.add_argument("--epochs", type=int, default=RUN.epochs)
    parser.add_argument("--width", type=int, default=RUN.width)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default="", choices=("", "whole"))
    given = vars(parser.parse_args())
    rounds, only = given.pop("rounds"), given.pop("only")
    shown(lambda: rows(Run(**{**RUN.to_dict(), **given}), rounds, only))


if __name__ == "__main__":
    main()
