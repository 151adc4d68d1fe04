"""Three real steps of a run at full width, so that nothing fails for a silly reason later."""

import contextlib
import platform
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from limitcycle.errors import RunError, UserError
from limitcycle.forkserver import Line
from limitcycle.lab import machine
from limitcycle.lab.pool import Killed, Pool, Task
from limitcycle.lab.training import train
from limitcycle.record import Run
from limitcycle.record.described import read_seconds
from limitcycle.record.files import disk_errors
from limitcycle.record.locked import take_lock

STEPS = 3
_TEST_IMAGES = 256  # enough to try the evaluation, which is not what is rehearsed
_KIB_A_UNIT = 1 / 1024 if platform.system() == "Darwin" else 1  # of ru_maxrss


@dataclass(frozen=True)
class Rehearsal:
    """How three steps of a run went.

    Attributes:
        run: as it will be made.
        losses: of the three batches, nats.
        step_seconds: wall-clock time of a step, mean of the three.
        peak_mib: largest resident memory of the process, in MiB; NaN where it is not known.
        problem: what went wrong; empty if nothing did.
    """

    run: Run
    losses: tuple[float, ...] = ()
    step_seconds: float = float("nan")
    peak_mib: float = float("nan")
    problem: str = ""


def rehearse(runs: Sequence[Run], folder: Path, device: str = "cpu") -> Iterator[Rehearsal]:
    """Rehearse ``runs`` one after the other, each in a process of its own.

    Args:
        runs: their initial weights stand in for checkpoints that do not exist yet.
        folder: for what they write; it is gone afterwards, or emptied by the next call where this
            one was killed.
        device: where to compute.

    Raises:
        UserError: it is in use, or cannot be written.
    """
    tasks = [Task(_rehearse, (run, folder / run.identity, device)) for run in runs]
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with take_lock(folder), Pool(tasks, 1, tries=1, fresh=True) as pool:
        _empty(folder)
        while pool.busy:
            for event in pool.events():
                if event.kind == "ended":
                    _empty(folder)
                    yield _outcome(runs[event.task], event.content)
        shutil.rmtree(folder, ignore_errors=True)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def _outcome(run: Run, came: Rehearsal | Exception) -> Rehearsal:
    if isinstance(came, Killed):
        return Rehearsal(run, problem="its process was killed, probably for want of memory")
    if isinstance(came, Exception):
        raise came
    return came


def _rehearse(_line: Line, run: Run, folder: Path, device: str) -> Rehearsal:
    machine.own_process()
    short = replace(
        run,
        steps=STEPS,
        epochs=None,
        start_from=None,
        snapshot_every=None,
        test_size=_TEST_IMAGES,
        train_pass=False,
    )
    try:
        loaded = train(short, folder, device=device, threads=machine.cores())
    except (UserError, RunError) as problem:
        return Rehearsal(run, problem=str(problem))
    seconds = read_seconds(loaded.path)["training"]
    losses = tuple(float(loss) for loss in loaded.steps["loss"])
    return Rehearsal(run, losses, seconds / STEPS, _peak_mib())


def _peak_mib() -> float:
    """Largest resident memory of this process; NaN where the system does not tell (Windows)."""
    with contextlib.suppress(ImportError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB_A_UNIT / 1024
    return float("nan")
