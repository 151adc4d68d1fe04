"""Giving out the runs of a sweep to a Ray cluster, and taking back what became of them."""

import contextlib
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from limitcycle.errors import RunError, UserError
from limitcycle.lab.parallel import Job, Outcome
from limitcycle.lab.remote import Mailbox, Task, leave_start, work
from limitcycle.record import load
from limitcycle.record.described import as_status, read_info, read_status
from limitcycle.record.files import is_there, parse_object, write_json
from limitcycle.record.locked import State, locked, say_for_killed
from limitcycle.record.mirror import claim, completed, copy_run
from limitcycle.record.storage import Place

_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 10.0  # with the mailbox
_TRIES = 3  # of a run whose worker is lost again before the run's next checkpoint


class Dispatch:
    """The jobs of a sweep on their way through a cluster.

    Args:
        ray: the module, connected.
        storage: where the runs' copies lie.
        jobs: runs and their folders on this machine.
        settings: further arguments of `limitcycle.lab.train`, ``threads`` among them.
        told: ``progress`` and ``notice`` of `limitcycle.lab.sweep`.
    """

    def __init__(
        self,
        ray: Any,
        storage: Place,
        jobs: Sequence[Job],
        settings: Mapping[str, Any],
        told: Mapping[str, Callable[[int, Any], None]],
    ) -> None:
        self._ray, self._jobs, self._settings = ray, jobs, settings
        self._told: dict[str, Callable[[int, Any], None]] = {
            **told,
            "begun": lambda index, _: self._begun.add(index),
        }
        self._copies = [storage.below(job.run.identity) for job in jobs]
        self._work, self._mailbox = _task(ray, settings), _mailbox(ray)
        self._waiting = deque(range(len(jobs)))
        self._running: dict[Any, int] = {}  # by the reference to what the task will return
        self._begun: set[int] = set()
        self._tries: dict[int, tuple[int, int]] = {}  # updates in the copy, tries from there
        self._outcomes: dict[int, Outcome] = {}

    def go(self, workers: int, should_stop: Callable[[], bool]) -> list[Outcome]:
        """Give out the jobs, at most ``workers`` at once, and take back what became of them."""
        while self._waiting or self._running:
            if stopping := should_stop():
                self._withdraw()
            while self._waiting and len(self._running) < workers:
                self._give(self._waiting.popleft())
            ended = self._ended()
            if not self._deliver(stop=stopping):
                self._abandon()
                break
            for reference in ended:
                self._take(reference, stopping)
        return [self._outcomes[index] for index in range(len(self._jobs))]

    def _ended(self) -> list[Any]:
        if not self._running:
            return []
        references = list(self._running)
        ended, _ = self._ray.wait(
            references, num_returns=len(references), timeout=_POLL_SECONDS, fetch_local=False
        )
        return list(ended)

    def _deliver(self, *, stop: bool) -> bool:
        """Pass on what the tasks said, and tell them whether to stop; False: nobody says more."""
        errors, letters = self._ray.exceptions, []
        try:
            reading = self._mailbox.read.remote(stop=stop)
            letters = self._ray.get(reading, timeout=_PATIENCE_SECONDS)
        except errors.ActorDiedError:
            return False
        except errors.RayError:
            pass  # what they said is lost, what they do is not
        for kind, index, content in letters:
            self._told[kind](index, content)
        return True

    def _give(self, index: int) -> None:
        """Make a task of a job; one that is done needs none."""
        job, copy = self._jobs[index], self._copies[index]
        try:
            if is_done(job):
                self._outcomes[index] = Outcome("done")
                return
            token = claim(copy)
            _seed(job, copy)
            leave_start(job.run, copy)
        except (RunError, UserError) as problem:
            self._outcomes[index] = _failed(problem)
            return
        data = os.environ.get("LIMITCYCLE_DATA")
        task = Task(index, job.run, str(job.out), copy.name, token, self._settings, data)
        self._running[self._work.remote(task, self._mailbox)] = index

    def _withdraw(self) -> None:
        """Take back what no node has begun; what is under way is told to stop."""
        for index in self._waiting:
            stopped = Outcome("stopped")
            was_begun = index in self._tries  # and lost
            self._outcomes[index] = self._brought(index, stopped) if was_begun else stopped
        self._waiting.clear()
        for reference, index in self._running.items():
            if index not in self._begun:
                self._begun.add(index)  # once is enough
                self._ray.cancel(reference)

    def _abandon(self) -> None:
        """This machine's node is gone, and with it all that Ray would say of the tasks."""
        gone = "this machine's Ray node is gone: start it again, then the same command goes on"
        for index in [*self._running.values(), *self._waiting]:
            self._outcomes[index] = self._brought(index, Outcome("failed", gone, 1))

    def _take(self, reference: Any, stopping: bool) -> None:
        """The outcome of a task, its run brought here; where its worker was lost, once more."""
        index, errors = self._running.pop(reference), self._ray.exceptions
        self._begun.discard(index)
        try:
            outcome = self._ray.get(reference)
        except errors.TaskCancelledError:
            outcome = Outcome("stopped")
        except errors.RayTaskError as problem:
            outcome = _failed(problem.cause or problem)
        except errors.RayError as problem:
            outcome = Outcome("stopped") if stopping else self._lost(index, problem)
        if outcome is not None:
            self._outcomes[index] = self._brought(index, outcome)

    def _brought(self, index: int, outcome: Outcome) -> Outcome:
        """Bring here what the job's copy has; the outcome, or what went wrong with that."""
        try:
            _bring(self._copies[index], self._jobs[index])
        except (RunError, UserError) as problem:
            outcome = outcome if outcome.problem else _failed(problem)
        _say_for_lost(self._jobs[index].out, outcome)
        return outcome

    def _lost(self, index: int, problem: Exception) -> Outcome | None:
        """Give a run whose worker was lost to another; an outcome where that is no use."""
        try:
            step = completed(self._copies[index])
        except RunError as unreachable:
            return _failed(unreachable)
        reason = type(problem).__name__  # NodeDiedError, OutOfMemoryError, …: Ray's text is long
        before, tries = self._tries.get(index, (-1, 0))
        tries = tries + 1 if step == before else 1
        self._tries[index] = (step, tries)
        if tries > _TRIES:
            return Outcome(
                "failed",
                f"its workers were lost {tries} times at step {step:,} ({reason}; out of memory?): "
                "the same command goes on",
                1,
            )
        text = f"its worker was lost ({reason}), another goes on from step {step:,}"
        self._told["notice"](index, text)
        self._waiting.append(index)
        return None


def _task(ray: Any, settings: Mapping[str, Any]) -> Any:
    """`work` as Ray gives it out. What is to be done when it is lost is decided here, not there."""
    gpus = 1 if str(settings.get("device", "cpu")).startswith("cuda") else 0
    return ray.remote(num_cpus=settings["threads"], num_gpus=gpus, max_retries=0)(work)


def _mailbox(ray: Any) -> Any:
    """A mailbox on this node: what happens to others is no concern of it."""
    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=False
    )
    return ray.remote(num_cpus=0)(Mailbox).options(scheduling_strategy=here).remote()


def is_done(job: Job) -> bool:
    """Whether the folder here holds the finished run."""
    here = is_there(job.out / "run.json")
    return here and load(job.out).status["state"] == "done"


def bring_finished(storage: Place, job: Job) -> None:
    """Bring here a run that is done in the storage and not here.

    Raises:
        RunError, UserError: the copy cannot be read, or the folder not be written.
    """
    if is_done(job):
        return
    copy = storage.below(job.run.identity)
    with copy.failing():
        if not copy.has("status.json"):
            return
        name = f"status.json in {copy.name}"
        status = as_status(parse_object(copy.read("status.json"), name), name)
    if status["state"] == "done":
        _bring(copy, job)


def _seed(job: Job, copy: Place) -> None:
    """Where the folder here is further than the copy, the copy becomes that."""
    here = Place.local(job.out)
    if completed(here) > completed(copy):
        with copy.failing():
            copy_run(here, copy, {})


def _bring(copy: Place, job: Job) -> None:
    """The run as its copy has it, in its folder here, under the description given here.

    Raises:
        RunError, UserError: the copy cannot be read, or the folder not be written.
    """
    with locked(job.out), copy.failing():
        copy_run(copy, Place.local(job.out), {})
    known = job.out / "run.json"
    if is_there(known):  # a checkpoint to start from lay elsewhere on the node
        write_json(known, {**read_info(job.out), "run": job.run.to_dict()})


def _say_for_lost(folder: Path, outcome: Outcome) -> None:
    """Have a folder that says "running" say how its run ended: a worker that was lost could not."""
    if outcome.state == "done":
        return
    state: State = "stopped" if outcome.state == "stopped" else "failed"
    with contextlib.suppress(RunError, UserError):  # the outcome says it in any case
        if read_status(folder).get("state", "running") == "running":
            say_for_killed(folder, state, outcome.problem)


def _failed(problem: BaseException) -> Outcome:
    if isinstance(problem, UserError):
        return Outcome("failed", str(problem), 2)
    if isinstance(problem, RunError):
        return Outcome("failed", str(problem), 1)
    return Outcome("failed", f"{type(problem).__name__}: {_line(problem)}", 1)


def _line(problem: BaseException) -> str:
    return next(iter(str(problem).splitlines()), "")
