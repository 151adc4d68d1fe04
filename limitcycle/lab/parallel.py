"""Several runs at once, in worker processes. A task is a run, or several alike trained as one.

Workers stop cleanly, with a checkpoint, when they are told to or when their parent is gone. A run
whose worker is killed is tried once more (`limitcycle.lab.pool`).
"""

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from limitcycle.checks import whole
from limitcycle.errors import RunError, UserError
from limitcycle.forkserver import Line
from limitcycle.lab import machine
from limitcycle.lab.compiled import with_engine, worth_compiling
from limitcycle.lab.how import How
from limitcycle.lab.pool import Event, Killed, Pool, Task, Withdrawn
from limitcycle.lab.together import companies, train_together
from limitcycle.lab.training import Progress, train
from limitcycle.record import Run
from limitcycle.record.locked import State, say_for_killed

_POLL_SECONDS = 0.1
_TOLD_SECONDS = 0.25  # between two words of a run: a small net makes hundreds of blocks a second
_LESS = (
    "the same command goes on from the last checkpoint; a smaller width, resolution or batch_size "
    "needs less memory, and so do fewer runs trained as one (together)"
)


class Job(NamedTuple):
    """A run and its folder."""

    run: Run
    out: Path


class Outcome(NamedTuple):
    """How a job ended.

    Attributes:
        state: of its status.
        problem: why it failed, if it did.
        code: the exit code for that.
        remark: what happened to it on the way, if something did: its worker was killed.
    """

    state: str
    problem: str = ""
    code: int = 0
    remark: str = ""


def sweep(
    jobs: Sequence[Job],
    *,
    workers: int | None = None,
    threads: int | None = None,
    together: int = 1,
    settings: Mapping[str, Any] | None = None,
    among: Sequence[Run] | None = None,
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
        among: the runs of which these are what is left to make, where some are done: of which kind
            there are many, these are compiled. None: those of the jobs.
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
    groups = companies([job.run for job in jobs], together)
    count = min(workers or machine.cores(), len(groups))
    budgets = [threads or thread_budget(jobs[group[0]].run, count) for group in groups]
    worth = worth_compiling(among or [job.run for job in jobs])
    tasks = []
    for group, budget in zip(groups, budgets, strict=True):
        own = {"threads": budget, **with_engine(jobs[group[0]].run, worth, settings)}
        tasks.append(Task(_work, ([jobs[i] for i in group], own)))
    told: dict[str, Callable[[int, Any], None]] = {"progress": progress, "notice": notice}
    crews = [_Crew(group, jobs, told) for group in groups]
    outcomes: dict[int, Outcome] = {}
    with Pool(tasks, count) as pool:
        while pool.busy:
            if should_stop():
                pool.stop()
            at_once, events = pool.at_once, pool.events(_POLL_SECONDS)
            plans = _plans(events, pool, at_once)
            for event in events:
                for i, outcome in crews[event.task].take(event, plans.get(event.task, "")).items():
                    outcomes[i] = outcome
                    ended(i, outcome)
    return [outcomes[i] for i in range(len(jobs))]


def thread_budget(run: Run, at_once: int) -> int:
    """CPU threads for ``run`` when ``at_once`` runs share the cores.

    A small net gains nothing from a second thread; of larger ones each gets its share of the cores.
    ``benchmarks/workers.py`` measures both.
    """
    return 1 if run.net == "mlp" else max(1, machine.cores() // at_once)


def _plans(events: Sequence[Event], pool: Pool, before: int) -> dict[int, str]:
    """What is done about tasks whose workers were killed, in words, by task.

    How many runs go on at once is said with the last of them, for all.
    """
    plans = {}
    for event in events:
        if event.kind == "killed" and event.content:
            turn = "as the next one" if pool.again_next else "when the others are done"
            when = f", alone, {turn}" if pool.waits(event.task) else ""
            plans[event.task] = f"it is tried again{when}"
    if plans and pool.at_once < before and not pool.again_next:
        now = "one run" if pool.at_once == 1 else f"{pool.at_once} runs"
        plans[list(plans)[-1]] += f"; from now on {now} at a time"
    return plans


class _Crew:
    """The jobs of one task, and what has become of them so far."""

    def __init__(
        self,
        indices: Sequence[int],
        jobs: Sequence[Job],
        told: Mapping[str, Callable[[int, Any], None]],
    ) -> None:
        self._indices, self._told = indices, told
        self._folders = [jobs[i].out for i in indices]
        self._name = str(jobs[indices[0]].out)
        if len(indices) > 1:
            self._name += f" and {len(indices) - 1:,} trained with it"
        self._step = 0  # the last that was heard of
        self._killed_at: list[str] = []

    def take(self, event: Event, plan: str) -> dict[int, Outcome]:
        """Pass on what is said; of jobs that ended, by index, how they did.

        ``plan``: what is done about it where the worker was killed; empty: nothing.
        """
        if event.kind == "said":
            kind, member, content = event.content
            if kind == "progress":
                self._step = content.step
            self._told[kind](self._indices[member], content)
            return {}
        if event.kind == "killed":
            self._killed(plan)
            return {}
        return dict(zip(self._indices, self._outcomes(event.content), strict=True))

    def _killed(self, plan: str) -> None:
        self._killed_at.append(f"at step {self._step:,}" if self._step else "as it began")
        self._step = 0
        if plan:
            self._told["notice"](self._indices[0], f"{self._accident}; {plan}")

    def _outcomes(self, came: Any) -> list[Outcome]:
        if isinstance(came, Killed):
            text = f"{self._accident}: {_LESS}"
            self._say_for_killed("failed", text)
            return [Outcome("failed", f"{self._name}: {text}", 1)] * len(self._indices)
        if isinstance(came, Withdrawn):
            if self._killed_at:
                self._say_for_killed("stopped", f"{self._accident}; not tried again")
            return self._remarked([Outcome("stopped")] * len(self._indices), "not tried again")
        if isinstance(came, Exception):
            came = [_failed(came)] * len(self._indices)
        return self._remarked(came, "tried again")

    def _say_for_killed(self, state: State, reason: str) -> None:
        """Have the runs' folders say how they ended; else they would say "running" for ever."""
        for folder in self._folders:
            with contextlib.suppress(UserError, RunError):  # the outcome says it in any case
                say_for_killed(folder, state, reason)

    def _remarked(self, outcomes: list[Outcome], what: str) -> list[Outcome]:
        """``outcomes``, with what happened on the way, where something did."""
        if not self._killed_at:
            return outcomes
        text = f"{self._name}: {self._accident}; {what}: "
        return [each._replace(remark=text + each.state) for each in outcomes]

    @property
    def _accident(self) -> str:
        places = self._killed_at
        if len(places) == 1:
            where = places[0]
        elif len(set(places)) == 1:
            where = f"twice, both times {places[0]}"
        else:
            where = f"twice, {' and '.join(places)}"
        return f"its worker was killed {where}, probably for want of memory"


def _failed(problem: Exception) -> Outcome:
    if isinstance(problem, UserError):
        return Outcome("failed", str(problem), 2)
    if isinstance(problem, RunError):
        return Outcome("failed", str(problem), 1)
    line = " ".join(str(problem).splitlines()[:1])
    text = f"stopped by something unforeseen ({type(problem).__name__}: {line}): by itself the "
    return Outcome("failed", f"{text}run shows where it comes from", 1)


def _work(line: Line, jobs: Sequence[Job], settings: Mapping[str, Any]) -> list[Outcome]:
    """What a worker does: train a run, or several alike as one."""
    machine.own_process()
    told = [_seldom(partial(_tell, line, "progress", i)) for i in range(len(jobs))]
    if len(jobs) == 1:
        loaded = train(
            *jobs[0],
            should_stop=line.told_to_stop,
            progress=told[0],
            notice=partial(_tell, line, "notice", 0),
            **settings,
        )
        return [Outcome(str(loaded.status["state"]))]
    runs, outs = zip(*jobs, strict=True)
    ended = train_together(
        runs,
        outs,
        How(**settings),
        should_stop=line.told_to_stop,
        progress=lambda i, now: told[i](now),
        notice=partial(_tell, line, "notice"),
    )
    return [
        _failed(each) if isinstance(each, Exception) else Outcome(str(each.status["state"]))
        for each in ended
    ]


def _tell(line: Line, kind: str, member: int, what: object) -> None:
    line.say((kind, member, what))


def _seldom(tell: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """``tell``, only now and then and at the end: words cost sender and hearer time."""
    last = -math.inf

    def told(now: Progress) -> None:
        nonlocal last
        if now.step >= now.total or time.monotonic() - last >= _TOLD_SECONDS:
            last = time.monotonic()
            tell(now)

    return told
