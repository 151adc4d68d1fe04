"""Trains runs in forked children that are killed, and compares what remains, bit by bit.

``python -m tests.lab.kill_driver writes|some-writes|random|together FOLDER``; prints what it
did, exits with 1 at the first difference. A process of its own, so that forking it is safe.
"""

import itertools
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from limitcycle.lab import train
from limitcycle.lab.how import How
from limitcycle.lab.together import train_together
from limitcycle.record import Run, load
from limitcycle.record import folder as record_folder

INSTANTS = ("replace", "fsync", "unlink")  # the system calls around which a write can be cut


def in_child(work: Callable[[], object]) -> int:
    """Start ``work`` in a forked child; its process number."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as problem:
            print(f"child: {problem!r}", file=sys.stderr)
            os._exit(3)
    return child


def killing_at(count: int, work: Callable[[], object]) -> Callable[[], object]:
    """``work`` that kills its process before the ``count``-th instant of writing.

    What the folder is after one of them it is still before the next.
    """
    seen = 0

    def wrap(call: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*arguments, **options):
            nonlocal seen
            seen += 1
            if seen == count:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return wrapped

    def with_killer() -> None:
        for name in INSTANTS:
            setattr(os, name, wrap(getattr(os, name)))
        work()

    return with_killer


def finish(child: int) -> int:
    """Wait for a child; 0 when it ended well, else the signal or code that ended it."""
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def assert_equal(reference: Path, other: Path) -> None:
    """Tables and weights of two runs are the same, bit by bit."""
    first, second = load(reference), load(other)
    assert second.status["state"] == "done", second.status
    for table in ("steps", "epochs"):
        a, b = getattr(first, table), getattr(second, table)
        assert list(a.columns) == list(b.columns)
        assert len(a) == len(b), (table, len(a), len(b))
        for name in a:
            assert a[name].to_numpy().tobytes() == b[name].to_numpy().tobytes(), (table, name)
    mine, theirs = first.checkpoint(), second.checkpoint()
    assert mine.completed == theirs.completed
    assert mine.arrays.keys() == theirs.arrays.keys()
    for name, array in mine.arrays.items():
        assert np.array_equal(array, theirs.arrays[name]), name


def kill_at_writes(folder: Path, stride: int) -> int:
    """Kill once at every ``stride``-th instant of writing of a short run; go on; compare."""
    run = Run(lr=0.3, width=8, steps=20, momentum=0.9, augment=True, snapshot_every=15)
    plain = lambda out: train(run, out, checkpoint_seconds=0.0)  # noqa: E731
    assert finish(in_child(lambda: plain(folder / "reference"))) == 0
    for kills in itertools.count():
        out = folder / f"killed-{kills}"
        ended = finish(in_child(killing_at(1 + kills * stride, lambda out=out: plain(out))))
        if ended == 0:
            return kills
        assert ended == -signal.SIGKILL, ended
        assert finish(in_child(lambda out=out: plain(out))) == 0
        assert_equal(folder / "reference", out)
    raise AssertionError


def kill_runs_together(folder: Path, stride: int = 7) -> int:
    """Kill two runs that are trained as one at every seventh instant of writing; compare both."""
    record_folder.FILE_BYTES = 2_000  # so that a checkpoint is several files
    base = Run(lr=0.3, width=8, steps=8, momentum=0.9, snapshot_every=6)
    runs = [base, replace(base, seed=1)]
    how = How(checkpoint_seconds=0.0)
    plain = lambda out: train_together(runs, [out / "0", out / "1"], how)  # noqa: E731
    assert finish(in_child(lambda: plain(folder / "reference"))) == 0
    for kills in itertools.count():
        out = folder / f"killed-{kills}"
        ended = finish(in_child(killing_at(1 + kills * stride, lambda out=out: plain(out))))
        assert ended in (0, -signal.SIGKILL), ended
        if ended == 0:
            return kills
        assert finish(in_child(lambda out=out: plain(out))) == 0
        for name in ("0", "1"):
            assert_equal(folder / "reference" / name, out / name)
    raise AssertionError


def kill_at_random(folder: Path, kills: int = 12) -> int:
    """Kill one run again and again at random moments; let it end; compare."""
    run = Run(lr=1.0, steps=2_000, train_pass=True)
    plain = lambda out: train(run, out, checkpoint_seconds=0.02)  # noqa: E731
    began = time.monotonic()
    assert finish(in_child(lambda: plain(folder / "reference"))) == 0
    length = time.monotonic() - began
    rng = random.Random(0)
    done = 0
    while done < kills:
        child = in_child(lambda: plain(folder / "killed"))
        time.sleep(rng.uniform(0, length / kills))
        os.kill(child, signal.SIGKILL)
        ended = finish(child)
        assert ended in (0, -signal.SIGKILL), ended
        if ended == 0:
            break
        done += 1
    assert finish(in_child(lambda: plain(folder / "killed"))) == 0
    assert_equal(folder / "reference", folder / "killed")
    return done


if __name__ == "__main__":
    torch.set_num_threads(1)
    os.fsync = lambda _: None  # what a killed process has written the system has all the same
    # Eleven is prime to the three instants of a write.
    how = {
        "writes": lambda folder: kill_at_writes(folder, 1),
        "some-writes": lambda folder: kill_at_writes(folder, 11),
        "random": kill_at_random,
        "together": kill_runs_together,
    }[sys.argv[1]]
    where = Path(sys.argv[2])
    train(Run(steps=1), where / "warm")  # finds the symmetries before any child needs them
    train(Run(steps=1, width=8), where / "warm-8")
    train_together([Run(steps=1, width=8)], [where / "warm-together"], How())  # loads torch.func
    print(f"{how(where)} kills, nothing differs")
