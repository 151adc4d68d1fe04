"""Several runs at once: worker processes, one task each, that start from one import of torch.

A task is a run, or several alike that are trained as one.

Workers stop cleanly, with a checkpoint, when they are told to or when their parent is gone.
"""

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import Any, NamedTuple

from limitcycle.errors import RunError, UserError
from limitcycle.lab import machine
from limitcycle.lab.how import How
from limitcycle.lab.together import companies, train_together
from limitcycle.lab.training import Progress, train
from limitcycle.record import Run

_POLL_SECONDS = 0.1


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
    threads: int = 1,
    together: int = 1,
    settings: Mapping[str, Any] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, Progress], None] = lambda _i, _p: None,
    notice: Callable[[int, str], None] = lambda _i, _n: None,
) -> list[Outcome]:
    """Train all ``jobs``, as many at once as there are workers.

    Args:
        jobs: runs and their folders; each goes on from what its folder holds.
        workers: processes; None: one a core.
        threads: CPU threads a worker.
        together: runs that a worker trains as one, at most, where they are alike.
        settings: further arguments of `limitcycle.lab.train` (device, stop_after, …).
        should_stop: asked ten times a second; True stops all runs with a checkpoint.
        progress, notice: told (index of the job, what), as in `limitcycle.lab.train`.

    Returns:
        An outcome a job, in their order. A job that fails does not stop the others.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    _start_server()
    messages, stop = context.Queue(), context.Event()
    # Workers see this pipe end when their parent is gone, killed or not: the system closes it.
    lifeline, held = context.Pipe(duplex=False)
    groups = companies([job.run for job in jobs], together)
    count = min(workers or machine.cores(), len(groups))
    arguments = {"threads": threads, **(settings or {})}
    with ProcessPoolExecutor(count, context, _initialise, (messages, stop, lifeline)) as pool:
        futures = [
            pool.submit(_work, group, [jobs[i] for i in group], arguments) for group in groups
        ]
        told: dict[str, Callable[..., None]] = {"progress": progress, "notice": notice}
        while wait(futures, timeout=0).not_done:
            if should_stop():
                stop.set()
                for future in futures:
                    future.cancel()  # those not yet begun
            _deliver(messages, told)
        _deliver(messages, told)
    held.close()
    outcomes: dict[int, Outcome] = {}
    for group, future in zip(groups, futures, strict=True):
        outcomes.update(zip(group, _outcomes(future, len(group)), strict=True))
    return [outcomes[i] for i in range(len(jobs))]


def _start_server() -> None:
    """Start the fork server deaf to Ctrl-C, which reaches it, too, while it imports torch."""
    resource_tracker.ensure_running()  # else started below, where it would lift the block again
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _deliver(messages: Any, told: Mapping[str, Callable[..., None]]) -> None:
    """Pass on what the workers said, waiting a moment for more."""
    try:
        while True:
            kind, index, content = messages.get(timeout=_POLL_SECONDS)
            told[kind](index, content)
    except queue.Empty:
        return


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
    first_line = next(iter(str(problem).splitlines()), "")
    return Outcome("failed", f"{type(problem).__name__}: {first_line}", 1)


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
    stopped = lambda: stop.is_set() or lifeline.poll()  # noqa: E731
    tell = lambda kind, index, what: messages.put((kind, indices[index], what))  # noqa: E731
    with _busy:
        if lifeline.poll():
            os._exit(1)  # a job that was still queued when the parent died
        if len(jobs) == 1:
            loaded = train(
                *jobs[0],
                should_stop=stopped,
                progress=partial(tell, "progress", 0),
                notice=partial(tell, "notice", 0),
                **settings,
            )
            return [Outcome(str(loaded.status["state"]))]
        runs, outs = zip(*jobs, strict=True)
        ended = train_together(
            runs,
            outs,
            How(**settings),
            should_stop=stopped,
            progress=partial(tell, "progress"),
            notice=partial(tell, "notice"),
        )
    return [
        _failed(each) if isinstance(each, Exception) else Outcome(str(each.status["state"]))
        for each in ended
    ]
