"""Three real steps of a run at full width, so that nothing fails for a silly reason later."""

import contextlib
import platform
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

from limitcycle import forkserver
from limitcycle.errors import RunError, UserError
from limitcycle.lab import machine
from limitcycle.lab.training import train
from limitcycle.record import Run
from limitcycle.record.described import read_seconds

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


def rehearse(runs: Sequence[Run], device: str = "cpu") -> Iterator[Rehearsal]:
    """Rehearse ``runs`` one after the other, each in a process of its own.

    Args:
        runs: their initial weights stand in for checkpoints that do not exist yet.
        device: where to compute.
    """
    context = forkserver.start()
    with ProcessPoolExecutor(1, context, machine.own_process, max_tasks_per_child=1) as pool:
        yield from pool.map(_rehearse, runs, [device] * len(runs))


def _rehearse(run: Run, device: str) -> Rehearsal:
    short = replace(
        run,
        steps=STEPS,
        epochs=None,
        start_from=None,
        snapshot_every=None,
        test_size=_TEST_IMAGES,
        train_pass=False,
    )
    with tempfile.TemporaryDirectory() as folder:
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
