"""What compiling small nets saves: a step, a run, and the commands that are made of such runs.

Steps and runs in turn in one process, one thread. With ``--whole`` each command is timed once
without compiling, once with an empty cache, once with what that left in it.

    python -m benchmarks.compiled
    python -m benchmarks.compiled --shapes
    python -m benchmarks.compiled --whole demo map paper
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import repeat
from pathlib import Path

import torch

from benchmarks.common import Row, Timed, clock, compared, options, paired, shown
from benchmarks.engine_overhead import bare_pass, engine_step, first_batch
from limitcycle.lab import machine
from limitcycle.lab.compiled import compiled
from limitcycle.lab.feed import hyper
from limitcycle.lab.setup import Setup, prepare
from limitcycle.lab.training import train
from limitcycle.record import Run

_STEPS = 40
_RUN_STEPS = 4_000
_SHAPE_STEPS = 400
_SHAPES: dict[str, dict[str, int | None]] = {
    "batches of 512": {"batch_size": 512},
    "full batch": {"batch_size": None},
    "width 256": {"width": 256},
    "width 512": {"width": 512},
}
_PLANE = ["--lr", "0.01:100:12", "--weight-decay", "0.0001:0.1:12"]
# Command, bound on its time with a warm cache ÷ without compiling.
COMMANDS = {
    "demo": (["demo"], None),
    "map": (["map", *_PLANE], 0.55),
    "paper": (["paper", "--all"], 0.6),
}


def rows(rounds: int = 40) -> list[Row]:
    """A step against the bare pass and the eager engine, and a run against an eager one."""
    machine.own_process()
    run = Run(net="mlp", data="digits", lr=0.3, steps=_RUN_STEPS)
    with machine.threads(1), tempfile.TemporaryDirectory() as folder:
        setup = prepare(run, torch.device("cpu"))
        bare, eager = bare_pass(run, setup), engine_step(run, setup)
        block = compiled_steps(run, setup)
        one = ("compiled step", lambda: clock(block) / _STEPS)
        return [
            paired(
                "compiled step, digits MLP",
                one,
                ("bare forward and backward", lambda: clock(bare, _STEPS)),
                rounds,
                at_most=0.65,
            ),
            paired(
                "compiled step, engine's",
                one,
                ("eager step", lambda: clock(eager, _STEPS)),
                rounds,
                at_most=0.35,
            ),
            paired(
                f"a run of {_RUN_STEPS:,} updates, evaluated every epoch",
                ("compiled", lambda: trained(run, Path(folder), True)),
                ("eager", lambda: trained(run, Path(folder), False)),
                max(3, rounds // 10),
            ),
        ]


def shapes(rounds: int = 3) -> list[Row]:
    """Runs of larger batches and wider nets, compiled and eager."""
    machine.own_process()
    found = []
    with machine.threads(1), tempfile.TemporaryDirectory() as folder:
        for name, settings in _SHAPES.items():
            run = Run(net="mlp", data="digits", lr=0.3, steps=_SHAPE_STEPS, **settings)
            found.append(
                paired(
                    f"an update, {name}",
                    ("compiled", lambda: trained(run, Path(folder), True) / _SHAPE_STEPS),  # noqa: B023
                    ("eager", lambda: trained(run, Path(folder), False) / _SHAPE_STEPS),  # noqa: B023
                    rounds,
                )
            )
    return found


def compiled_steps(run: Run, setup: Setup) -> Callable[[], object]:
    """A block of compiled steps on one batch."""
    block = compiled(run, setup)
    assert block is not None
    rates, fixed = torch.full((_STEPS,), run.lr), hyper(run, setup)
    batch = first_batch(setup)
    return lambda: block(setup.state, fixed, rates, repeat(batch, _STEPS))


def trained(run: Run, folder: Path, compile: bool) -> float:
    """Seconds of a whole run in a new folder."""
    began = time.perf_counter()
    train(run, tempfile.mkdtemp(dir=folder), threads=1, compile=compile)
    return time.perf_counter() - began


def whole(name: str) -> list[Row]:
    """A command without compiling, with an empty cache, and with a warm one."""
    arguments, at_most = COMMANDS[name]
    with tempfile.TemporaryDirectory() as above:
        eager = _seconds(arguments, Path(above), "eager")
        cold = _seconds(arguments, Path(above), "cold")
        warm = _seconds(arguments, Path(above), "warm")
    bounds = {} if at_most is None else {"at_most": at_most}
    within = {"within": 30.0} if name == "demo" else {}
    return [
        compared(
            f"{name}, warm cache",
            Timed("compiled", warm),
            Timed("eager", eager),
            **bounds,
            **within,
        ),
        compared(f"{name}, empty cache", Timed("compiled", cold), Timed("eager", eager)),
    ]


def _seconds(arguments: list[str], above: Path, name: str) -> float:
    cache = above / ("eager-cache" if name == "eager" else "cache")
    command = [sys.executable, "-m", "limitcycle", *arguments, "--out", str(above / name)]
    began = time.perf_counter()
    environment = {**os.environ, "LIMITCYCLE_CACHE": str(cache)}
    if name == "eager":
        environment["LIMITCYCLE_COMPILE"] = "0"
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--whole", nargs="+", choices=COMMANDS, metavar="COMMAND")
    parser.add_argument("--shapes", action="store_true", help="larger batches, wider nets")
    given = parser.parse_args()
    if given.shapes:
        shown(shapes)
    elif given.whole:
        shown(lambda: [row for name in given.whole for row in whole(name)])
    else:
        shown(rows)


if __name__ == "__main__":
    main()
