"""Long records and the command line: opening, drawing and judging 400,000 steps; asking for help.

The record is a made-up oscillator of 400,000 steps in the parts that a run of a thousand steps a
second leaves. Each reading stands against the same of a record a hundred times shorter, help
against an interpreter that does nothing.

    python -m benchmarks.records    # half a minute
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common import Row, Timed, clock, compared, in_turn, options, paired, shown
from limitcycle.reading import diagnose
from limitcycle.record import Run, RunFolder, load
from limitcycle.report import write_report

STEPS, PERIOD, PART_STEPS = 400_000, 2_000, 20_000
LR, WEIGHT_DECAY, EPOCH_STEPS = 0.3, 2e-4, 391
OPEN, REPORT, DIAGNOSE, HELP = 0.5, 5.0, 1.0, 0.4  # seconds


def rows(steps: int = STEPS, rounds: int = 3) -> list[Row]:
    """Reading a record, and the command line."""
    with tempfile.TemporaryDirectory() as folder:
        long, short = Path(folder) / "long", Path(folder) / "short"
        write_record(long, steps)
        write_record(short, max(steps // 100, 2 * PERIOD))
        found = [
            reading("opening", lambda path: load(path).steps, long, short, rounds, OPEN),
            reading("report of", report, long, short, rounds, REPORT),
            reading("diagnosis of", judged(long, short), long, short, rounds, DIAGNOSE),
        ]
    return [*found, *(helped(verb, rounds) for verb in ([], ["train"]))]


def reading(
    what: str,
    read: Callable[[Path], object],
    long: Path,
    short: Path,
    rounds: int,
    within: float,
) -> Row:
    """The same reading of both records."""
    name = f"{what} {len(load(long).steps):,} step rows"
    shorter = f"of {len(load(short).steps):,}"
    calls = [lambda: clock(lambda: read(long)), lambda: clock(lambda: read(short))]
    a, b = (float(value) for value in np.median(in_turn(calls, rounds, warm=1), axis=0))
    return compared(name, Timed("whole", a), Timed(shorter, b), within=within)


def report(path: Path) -> Path:
    """The page of a run, from opening it."""
    return write_report([load(path)], path / "report.html")


def judged(*paths: Path) -> Callable[[Path], object]:
    """Diagnosis of runs that are open already."""
    opened = {path: load(path) for path in paths}
    return lambda path: diagnose(opened[path])


def helped(verb: list[str], rounds: int) -> Row:
    """``limitcycle … --help`` from starting Python."""
    command = [sys.executable, "-m", "limitcycle", *verb, "--help"]
    return paired(
        " ".join(["limitcycle", *verb, "--help"]),
        ("from start to end", lambda: clock(lambda: _silent(command))),
        ("python -c pass", lambda: clock(lambda: _silent([sys.executable, "-c", "pass"]))),
        2 * rounds,
        within=HELP,
    )


def write_record(path: Path, steps: int) -> None:
    """A finished run whose norm decays and is thrown back once a period."""
    run = Run(lr=LR, weight_decay=WEIGHT_DECAY, steps=steps, data="cifar10", net="convnet")
    table = oscillator(steps)
    with RunFolder(path, run, {"epoch_steps": EPOCH_STEPS}) as folder:
        for first in range(0, steps, PART_STEPS):
            folder.append(table.iloc[first : first + PART_STEPS], pd.DataFrame())
        folder.append(pd.DataFrame(), epochs_of(table))
        folder.set_status("done", steps)


def oscillator(steps: int) -> pd.DataFrame:
    """A step table: decay by 1 − ηλ a step, and every `PERIOD` steps a jump of loss and norm."""
    noise = np.exp(0.1 * np.random.default_rng(0).standard_normal(steps))
    step = np.arange(steps)
    since, until = step % PERIOD, PERIOD - step % PERIOD
    loss = (
        1e-3 + 3 * np.exp(-since / 3) + np.where(until <= 4, 10.0 ** (-0.75 * until), 0)
    ) * noise
    thrown = 1 - np.exp(-LR * WEIGHT_DECAY * PERIOD)
    norm = 6 * np.exp(-LR * WEIGHT_DECAY * since) * (1 - thrown * np.exp(-since / 4))
    gradient = 10 * np.sqrt(loss)
    return pd.DataFrame(
        {
            "step": step,
            "epoch": step // EPOCH_STEPS,
            "loss": loss,
            "norm": norm,
            "grad_norm": gradient / norm,
            "radial": 0.0,
            "lr": LR,
            "weight_decay": WEIGHT_DECAY,
            "effective_lr": LR / norm**2,
            "effective_grad_norm": gradient,
            "cosine_distance": (LR * gradient / norm**2) ** 2 / 2,
        }
    )


def epochs_of(steps: pd.DataFrame) -> pd.DataFrame:
    """The epoch table of a step table."""
    each = steps.iloc[::EPOCH_STEPS].reset_index(drop=True)
    return pd.DataFrame(
        {
            "epoch": each["step"] / EPOCH_STEPS,
            "step": each["step"],
            "train_loss": each["loss"],
            "train_error": np.minimum(each["loss"], 0.9),
            "test_loss": each["loss"] + 0.5,
            "test_error": 0.1 + 0.3 * np.minimum(each["loss"], 1.0),
            "confidence": np.nan,
            "norm": each["norm"],
            "effective_lr": each["effective_lr"],
            "effective_grad_norm": each["effective_grad_norm"],
        }
    )


def _silent(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    shown(lambda: rows(given.steps, given.rounds))


if __name__ == "__main__":
    main()
