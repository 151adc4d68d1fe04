"""SIGKILL, again and again: what is killed and goes on ends in the same bits and leaves no litter.

Of each kind of work one is made without a disturbance. Then it is made again, while at random
moments all its processes are killed, or the command alone, or one of its workers; the same command
goes on until it is done. Tables, weights, map and claims are compared bit by bit, and what lies in
the folder of temporary files afterwards is counted.

    python -m benchmarks.kills                       # all kinds: a quarter of an hour
    python -m benchmarks.kills --kills 20 --kind grid map --seed 1

Not part of the bench: nothing is timed. Exit code 1 where anything differs or is left behind.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
ALL, COMMAND, WORKER = "all processes", "the command", "a worker"
_LONG = 900  # seconds after which a command that does not end is stuck
_FIGURES = ("7", "10")  # of the paper: six small runs, two drawings

Content = dict[str, bytes]


def main() -> int:
    """Kill, compare, print a table; 1 where anything differs or is left behind."""
    given = options()
    if given.do:
        return _WORK[given.do](Path(given.out))
    rng = random.Random(given.seed)
    tallies: list[Tally] = []
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        for at, kind in enumerate(given.kind):
            kills = given.kills // len(given.kind) + (at < given.kills % len(given.kind))
            tallies.append(Trial(kind, Path(folder) / kind, rng).go(kills))
            print(table(tallies[-1:]), file=sys.stderr, flush=True)
    print(table(tallies))
    return 0 if all(tally.sound for tally in tallies) else 1


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=160, metavar="N", help="in all")
    parser.add_argument("--kind", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--do", choices=_WORK, help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    return parser.parse_args()


@dataclass
class Tally:
    """What became of a kind of work.

    Attributes:
        kind: which one.
        hit: kills, by what was killed.
        rounds: works that were killed and came to their end.
        differing: what was not the same then, by name.
        left: files left behind among the temporary ones.
    """

    kind: str
    hit: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    differing: list[str] = field(default_factory=list)
    left: set[str] = field(default_factory=set)

    @property
    def kills(self) -> int:
        """All of them."""
        return self.hit.total()

    @property
    def sound(self) -> bool:
        """Whether nothing differs and nothing was left."""
        return self.rounds > 0 and not self.differing and not self.left


class Trial:
    """One kind of work, killed and gone on with.

    Args:
        kind: of `KINDS`.
        folder: for all of it.
        rng: draws moments and victims.
    """

    def __init__(self, kind: str, folder: Path, rng: random.Random) -> None:
        self._kind, self._folder, self._rng = KINDS[kind], folder, rng
        self._temporary = folder / "temporary"
        self._temporary.mkdir(parents=True)
        self._usual: set[str] = set()  # what torch keeps there, killed or not
        self.tally = Tally(kind)

    def go(self, kills: int) -> Tally:
        """Make it undisturbed, then killed, as often as it takes."""
        reference = self._folder / "reference"
        seconds = self._undisturbed(reference)
        self._usual = self._litter()
        expected = self._kind.content(reference)
        while self.tally.kills < kills:
            out = self._folder / f"killed-{self.tally.rounds}"
            self._killed(out, seconds, kills)
            self.tally.rounds += 1
            found = self._kind.content(out)
            self.tally.differing += [f"{out.name}: {name}" for name in differing(expected, found)]
        return self.tally

    def _undisturbed(self, out: Path) -> float:
        began = time.monotonic()
        code = self._start(out).wait(_LONG)
        if code:
            raise RuntimeError(f"{self.tally.kind} ended with {code} without a kill")
        return time.monotonic() - began

    def _killed(self, out: Path, seconds: float, most: int) -> None:
        """Make the work in ``out``; start it again until it is done."""
        while True:
            process = self._start(out)
            forgiven = False  # a run whose worker was killed twice fails
            while self.tally.kills < most:
                try:
                    process.wait(self._rng.uniform(0, seconds))
                    break
                except subprocess.TimeoutExpired:
                    hit = self._kill(process.pid)
                    self.tally.hit[hit] += 1
                    forgiven = True
                    if hit != WORKER:
                        break
            code = process.wait(_LONG)
            _wait_for_all(process.pid)
            self.tally.left |= self._litter() - self._usual
            if code == 0:
                return
            if not forgiven:
                raise RuntimeError(f"{self.tally.kind} ended with {code} without a kill")

    def _litter(self) -> set[str]:
        return {path.name for path in self._temporary.iterdir()}

    def _kill(self, leader: int) -> str:
        """Kill something; what it was."""
        others = [number for number in _session(leader) if number != leader]
        hit = self._rng.choice((ALL, COMMAND, WORKER) if others else (ALL,))
        if hit == ALL:
            os.killpg(leader, signal.SIGKILL)
        else:
            os.kill(leader if hit == COMMAND else self._rng.choice(others), signal.SIGKILL)
        return hit

    def _start(self, out: Path) -> "subprocess.Popen[bytes]":
        environment = {
            **os.environ,
            "TMPDIR": str(self._temporary),
            "LIMITCYCLE_CACHE": str(self._folder / "cache"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "OMP_NUM_THREADS": "1",
        }
        return subprocess.Popen(
            [sys.executable, *self._kind.command(out)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def _session(leader: int) -> list[int]:
    """The processes of the session that ``leader`` leads, or led."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,stat=", "-s", str(leader)], capture_output=True, text=True
    )
    rows = [line.split() for line in listed.stdout.splitlines()]
    return [int(number) for number, state in rows if "Z" not in state]


def _wait_for_all(leader: int) -> None:
    """Wait until the workers of a command that is gone are, too."""
    deadline = time.monotonic() + _LONG
    while _session(leader):
        if time.monotonic() > deadline:
            raise RuntimeError(f"processes of {leader} stay")
        time.sleep(0.05)


def differing(expected: Content, found: Content) -> list[str]:
    """What is not the same in both, by name."""
    names = sorted({*expected, *found})
    return [name for name in names if expected.get(name) != found.get(name)]


def of_runs(out: Path) -> Content:
    """Tables, weights and status of every run in ``out`` or below."""
    from limitcycle.record import load_all

    content: Content = {}
    for run in load_all(out):
        name = str(run.path.relative_to(out))
        content[f"{name} status"] = str(run.status["state"]).encode()
        for table in ("steps", "epochs", "groups"):
            frame = getattr(run, table)
            content |= {f"{name} {table} {c}": _bits(frame[c].to_numpy()) for c in frame}
        if run.run is not None:
            arrays = run.checkpoint().arrays
            content |= {f"{name} weights {n}": array.tobytes() for n, array in arrays.items()}
    return content


def _bits(column: Any) -> bytes:
    return repr(column.tolist()).encode() if column.dtype == object else column.tobytes()


def of_map(out: Path) -> Content:
    """Its runs and its table."""
    return {**of_runs(out), "map.csv": (out / "map.csv").read_bytes()}


def of_paper(out: Path) -> Content:
    """Its runs and what was found of every claim."""
    return {**of_runs(out), "claims.json": (out / "claims.json").read_bytes()}


def of_script(out: Path) -> Content:
    """The watched rows and the weights that the script ended with; its folder's state is its own"""
    rows = {name: each for name, each in of_runs(out).items() if not name.endswith("status")}
    return {**rows, "weights": (out / "weights.bin").read_bytes()}


def table(tallies: Sequence[Tally]) -> str:
    """A row a kind, and their sum."""
    heads = ("kind", "kills", ALL, COMMAND, WORKER, "resumed", "identical", "left behind")
    rows = [heads]
    for each in tallies:
        hit = [str(each.hit[what]) for what in (ALL, COMMAND, WORKER)]
        spoilt = len({name.split(":")[0] for name in each.differing})
        same = f"{each.rounds - spoilt} of {each.rounds}"
        rows.append((each.kind, str(each.kills), *hit, str(each.rounds), same, str(len(each.left))))
    sums = [sum(each.hit[what] for each in tallies) for what in (ALL, COMMAND, WORKER)]
    rounds, left = sum(each.rounds for each in tallies), sum(len(each.left) for each in tallies)
    rows.append(("all", str(sum(sums)), *map(str, sums), str(rounds), "", str(left)))
    widths = [max(len(row[at]) for row in rows) for at in range(len(heads))]
    lines = [
        "  ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    for each in tallies:
        lines += [f"{each.kind}: {name} differs" for name in each.differing]
        lines += [f"{each.kind}: {name} is left behind" for name in sorted(each.left)]
    return "\n".join(lines)


def _sweep(jobs: list[Any], together: int = 1) -> int:
    """What ``limitcycle train`` does, with a checkpoint every fifth of a second."""
    from rich.console import Console

    from limitcycle.cli.train import report_outcomes, run_jobs

    console = Console(stderr=True)
    settings = {"checkpoint_seconds": 0.2}
    return report_outcomes(run_jobs(jobs, console, settings, 2, 1, together=together), console)


def _runs(out: Path, count: int, steps: int) -> list[Any]:
    from limitcycle.lab import Job
    from limitcycle.record import Run

    base = Run(lr=1.0, width=16, steps=steps, momentum=0.9, augment=True, snapshot_every=200)
    runs = [replace(base, lr=0.5 * (1 + at), seed=at) for at in range(count)]
    return [Job(run, out / f"run-{at}") for at, run in enumerate(runs)]


def _single(out: Path) -> int:
    return _sweep(_runs(out, 1, 1_500))


def _grid(out: Path) -> int:
    return _sweep(_runs(out, 4, 500))


def _together(out: Path) -> int:
    return _sweep(_runs(out, 4, 300), together=2)


def _script(out: Path, steps: int = 1_000, every: int = 100) -> int:
    """Somebody's own training under watch, with checkpoints of its own."""
    import torch
    from torch import nn

    import limitcycle as lc

    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(20, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 4)
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, weight_decay=0.01, momentum=0.9)
    saved = out / "saved.pt"
    with lc.watch(model, optimizer, sink=out / "watched", quiet=True) as w:

        def save(step: int) -> None:
            parts = {"model": model, "optimizer": optimizer, "watch": w}
            beside = out / "saved.tmp"
            torch.save({"step": step, **{n: p.state_dict() for n, p in parts.items()}}, beside)
            beside.replace(saved)

        if not saved.exists():
            save(0)
        state = torch.load(saved)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        w.load_state_dict(state["watch"])
        for step in range(state["step"], steps):
            generator = torch.Generator().manual_seed(step)
            x = torch.randn(64, 20, generator=generator)
            loss = nn.functional.cross_entropy(model(x), x[:, :4].argmax(1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            w.log(loss=loss)
            if (step + 1) % every == 0:
                save(step + 1)
    weights = [value.detach().numpy().tobytes() for value in model.state_dict().values()]
    (out / "weights.bin").write_bytes(b"".join(weights))
    return 0


class Kind(NamedTuple):
    """A kind of work: the command that makes it in a folder, and what is to be the same then."""

    command: Callable[[Path], list[str]]
    content: Callable[[Path], Content]


def _by_name(name: str) -> Callable[[Path], list[str]]:
    return lambda out: ["-m", "benchmarks.kills", "--do", name, "--out", str(out)]


def _map(out: Path) -> list[str]:
    plane = ["--lr", "0.1:3:3", "--weight-decay", "0.001:0.03:2"]
    cells = ["--width", "16", "--train-size", "512", "--test-size", "128", "--steps", "400"]
    return ["-m", "limitcycle", "map", *plane, *cells, "--workers", "2", "--out", str(out)]


def _paper(out: Path) -> list[str]:
    return ["-m", "limitcycle", "paper", *_FIGURES, "--workers", "2", "--out", str(out)]


_WORK = {"single": _single, "grid": _grid, "together": _together, "script": _script}
KINDS = {
    "single": Kind(_by_name("single"), of_runs),
    "grid": Kind(_by_name("grid"), of_runs),
    "together": Kind(_by_name("together"), of_runs),
    "map": Kind(_map, of_map),
    "paper": Kind(_paper, of_paper),
    "script": Kind(_by_name("script"), of_script),
}


if __name__ == "__main__":
    sys.exit(main())
