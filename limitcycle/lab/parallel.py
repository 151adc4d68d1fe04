"""Several runs at once: worker processes, one task each, that start from one import of torch.

A task is a run, or several alike that are trained as one.

Workers stop cleanly, with a checkpoint, when they are told to or when their parent is gone.
"""

import math
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from limitcycle import forkserver
from limitcycle.checks import whole
from limitcycle.errors import RunError, UserError
from limitcycle.lab import machine
from limitcycle.lab.how import How
from limitcycle.lab.together import companies, train_together
from limitcycle.lab.training import Progress, train
from limitcycle.record import Run

_POLL_SECONDS = 0.1
_TOLD_SECONDS = 0.25  # between two words of a run: a small net makes hundreds of blocks a second


class Job(NamedTuple):
    """A run and its folder."""

    run: Run
    out: Path


class Outcome(NamedTuple):
    """How a job ended: ``state`` of its status; if it failed, why, and the exit code for that."""

    state: str
    problem: str = ""
    code: int = 0


def sweep(
    jobs: Sequence[Job],
    *,
    workers: int | None = None,
    threads: int | None = None,
    together: int = 1,
    settings: Mapping[str, Any] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, Progress], None] = lambda _i, _p: None,
    notice: Callable[[int, str], None] = lambda _i, _n: None,
    ended: Callable[[int, Outcome], None] = lambda _i, _o: None,
) -> list[Outcome]:
    """Train all ``jobs``, as many at once as there are workers.

    Args:
        jobs: runs and their folders; each goes on from what its folder holds.
        workers: processes; None: one a core.
        threads: CPU threads a run; None: `thread_budget` of it and the runs beside it.
        together: runs that a worker trains as one, at most, where they are alike.
        settings: further arguments of `limitcycle.lab.train` (device, stop_after, …).
        should_stop: asked ten times a second; True stops all runs with a checkpoint.
        progress, notice: told (index of the job, what), as in `limitcycle.lab.train`.
        ended: told (index of the job, its outcome) soon after it ended; the others go on meanwhile.

    Returns:
        An outcome a job, in their order. A job that fails does not stop the others.
    """
    for name, count in (("workers", workers), ("together", together)):
        if count is not None:
            whole(name, count)
    machine.check_threads(threads)
    context = forkserver.start()
    messages, stop = context.Queue(), context.Event()
    # Workers see this pipe end when their parent is gone, killed or not: the system closes it.
    lifeline, held = context.Pipe(duplex=False)
    groups = companies([job.run for job in jobs], together)
    count = min(workers or machine.cores(), len(groups))
    budgets = [threads or thread_budget(jobs[group[0]].run, count) for group in groups]
    with ProcessPoolExecutor(count, context, _initialise, (messages, stop, lifeline)) as pool:
        futures = [
            pool.submit(
                _work, group, [jobs[i] for i in group], {"threads": budget, **(settings or {})}
            )
            for group, budget in zip(groups, budgets, strict=True)
        ]
        told: dict[str, Callable[..., None]] = {"progress": progress, "notice": notice}
        going = list(zip(groups, futures, strict=True))
        outcomes: dict[int, Outcome] = {}
        try:
            while going:
                if should_stop():
                    _stop(stop, futures)
                _deliver(messages, told)
                for group, future in [each for each in going if each[1].done()]:
                    going.remove((group, future))
                    for i, outcome in zip(group, _outcomes(future, len(group)), strict=True):
                        outcomes[i] = outcome
                        ended(i, outcome)
        except BaseException:  # or leaving the pool would wait for all that was submitted
            _stop(stop, futures)
            raise
        while _deliver(messages, told):
            pass
    held.close()
    return [outcomes[i] for i in range(len(jobs))]


def thread_budget(run: Run, at_once: int) -> int:
    """CPU threads for ``run`` when ``at_once`` runs share the cores.

    A small net gains nothing from a second thread; of larger ones each gets its share of the cores.
    ``benchmarks/workers.py`` measures both.
    """
    return 1 if run.net == "mlp" else max(1, machine.cores() // at_once)


def _stop(stop: Any, futures: "Sequence[Future[list[Outcome]]]") -> None:
    stop.set()
    for future in futures:
        future.cancel()  # those not yet begun


def _deliver(messages: Any, told: Mapping[str, Callable[..., None]]) -> bool:
    """Pass on what the workers say during a moment; whether they said anything."""
    end, any_said = time.monotonic() + _POLL_SECONDS, False
    while (left := end - time.monotonic()) > 0:
        try:
            kind, index, content = messages.get(timeout=left)
        except queue.Empty:
            break
        told[kind](index, content)
        any_said = True
    return any_said


def _outcomes(future: "Future[list[Outcome]]", count: int) -> list[Outcome]:
    """What became of the ``count`` jobs of a worker's task."""
    if future.cancelled():
        return [Outcome("stopped")] * count
    try:
        return future.result()
    except Exception as problem:  # the other jobs' outcomes must not be lost with this one's
        return [_failed(problem)] * count


def _failed(problem: Exception) -> Outcome:
    if isinstance(problem, UserError):
        return Outcome("failed", str(problem), 2)
    if isinstance(problem, RunError):
        return Outcome("failed", str(problem), 1)
    if isinstance(problem, BrokenProcessPool):
        text = "a worker was killed (out of memory?): the same command goes on"
        return Outcome("failed", text, 1)
    line = " ".join(str(problem).splitlines()[:1])
    text = f"stopped by something unforeseen ({type(problem).__name__}: {line}): by itself the "
    return Outcome("failed", f"{text}run shows where it comes from", 1)


# What a worker was given when it started: queue of messages, stop event, lifeline.
_given: tuple[Any, Any, Any] | None = None
_busy = threading.Lock()  # held while a run is under way


def _initialise(messages: Any, stop: Any, lifeline: Any) -> None:
    global _given
    _given = (messages, stop, lifeline)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and tells the workers
    machine.own_process()
    threading.Thread(target=_leave_with_parent, args=(lifeline,), daemon=True).start()


def _leave_with_parent(lifeline: Any) -> None:
    """End this process when its parent is gone and the run under way has its checkpoint."""
    lifeline.poll(None)
    with _busy:
        os._exit(1)


def _work(
    indices: Sequence[int], jobs: Sequence[Job], settings: Mapping[str, Any]
) -> list[Outcome]:
    assert _given is not None, "workers are started by sweep"
    messages, stop, lifeline = _given

    def stopped() -> bool:
        return bool(stop.is_set() or lifeline.poll())

    def tell(kind: str, index: int, what: object) -> None:
        messages.put((kind, indices[index], what))

    with _busy:
        if lifeline.poll():
            os._exit(1)  # a job that was still queued when the parent died
        if stop.is_set():
            return [Outcome("stopped")] * len(jobs)  # handed to this worker too early to cancel
        if len(jobs) == 1:
            loaded = train(
                *jobs[0],
                should_stop=stopped,
                progress=_seldom(partial(tell, "progress", 0)),
                notice=partial(tell, "notice", 0),
                **settings,
            )
            return [Outcome(str(loaded.status["state"]))]
        runs, outs = zip(*jobs, strict=True)
        seldom = [_seldom(partial(tell, "progress", i)) for i in range(len(jobs))]
        ended = train_together(
            runs,
            outs,
            How(**settings),
            should_stop=stopped,
            progress=lambda i, now: seldom[i](now),
            notice=partial(tell, "notice"),
        )
    return [
        _failed(each) if isinstance(each, Exception) else Outcome(str(each.status["state"]))
        for each in ended
    ]


def _seldom(tell: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """``tell``, only now and then and at the end: words cost sender and hearer time."""
    last = -math.inf

    def told(now: Progress) -> None:
        nonlocal last
        if now.step >= now.total or time.monotonic() - last >= _TOLD_SECONDS:
            last = time.monotonic()
            tell(now)

    return told
