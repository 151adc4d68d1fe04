"""``limitcycle train``: one run in this process, a grid of runs in workers."""

import argparse
import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from rich.console import Console

from limitcycle.checks import shell_word, usable_folder
from limitcycle.cli.bars import bars, interruptible, say
from limitcycle.cli.settings import MOST_RUNS
from limitcycle.cli.typed import as_typed
from limitcycle.errors import UserError
from limitcycle.lab import (
    Cluster,
    Job,
    Outcome,
    Progress,
    fits,
    machine,
    sweep,
    sweep_on,
    thread_budget,
)
from limitcycle.lab import train as train_one
from limitcycle.lab.compiled import with_engine, worth_compiling
from limitcycle.lab.how import How
from limitcycle.lab.together import most_together
from limitcycle.record import Run
from limitcycle.record.folder import check_folder

GRID = ("lr", "weight_decay", "momentum", "batch_size", "seed", "width")
_SETTINGS = ("device", "precision", "graph", "compile", "record_every")


def train(options: argparse.Namespace) -> int:
    """Train what ``options`` describe; exit code."""
    console = Console(stderr=True)
    settings = {name: getattr(options, name) for name in _SETTINGS}
    jobs = _jobs(options)
    local = options.on == "local"
    where = How(threads=options.threads, **settings).where if local else None
    refuse_impossible(jobs, where)
    came = run_jobs(
        jobs,
        console,
        settings,
        options.workers,
        options.threads,
        together=_together(jobs, options),
        stop_after=options.stop_after,
        cluster=chosen_cluster(options),
    )
    outcomes = [each._replace(problem=as_typed(each.problem, vars(options))) for each in came]
    done = sum(outcome.state == "done" for outcome in outcomes)
    what = "done" if len(jobs) == 1 else f"{done} of {len(jobs)} runs done"
    if done:
        say(console, f"{what}: {options.out}; look: limitcycle report {shell_word(options.out)}")
    return report_outcomes(outcomes, console)


def refuse_impossible(jobs: list[Job], where: torch.device | None = None) -> None:
    """Refuse, before the first folder is made, a grid of which a run can never be made there.

    Args:
        jobs: runs and their folders.
        where: the device that they are computed on; None: one of which nothing is known.

    Raises:
        UserError: a run's settings do not go together, or its folder holds another run.
    """
    for job in jobs:
        if job.run.start_from is None:  # else what it starts from decides, too
            check_folder(job.out, job.run)
        if not (job.out / "run.json").exists():
            fits.refuse_impossible(job.run, where)


def _together(jobs: list[Job], options: argparse.Namespace) -> int:
    if options.on != "local":
        if options.together is not None:
            raise UserError("--together is for this machine: on a cluster a task is a run")
        return 1
    if options.together is not None:
        return int(options.together)
    workers = options.workers or machine.cores()
    runs = [job.run for job in jobs]
    return most_together(runs, options.device, workers, options.compile)


def run_jobs(
    jobs: list[Job],
    console: Console,
    settings: dict[str, Any],
    workers: int | None = None,
    threads: int | None = None,
    *,
    together: int = 1,
    overall: bool = False,
    stop_after: float | None = None,
    cluster: Cluster | None = None,
    among: Sequence[Run] | None = None,
) -> list[Outcome]:
    """Train ``jobs`` under progress bars.

    Args:
        jobs: runs and their folders.
        console: where progress and notices go.
        settings: further arguments of `limitcycle.lab.train`.
        workers, threads, together: of `limitcycle.lab.sweep`.
        overall: a bar for the whole, and bars only for the runs under way.
        stop_after: seconds after which all of them stop with checkpoints.
        cluster: where to train them; None: here.
        among: as of `limitcycle.lab.sweep`.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed, so nothing more is wanted, even where the last run
            ended by itself meanwhile; each has a checkpoint.
    """
    names = [job.out.name for job in jobs]
    deadline = time.monotonic() + (stop_after or math.inf)
    overall = overall or (cluster is not None and len(jobs) > 1)
    with interruptible(console) as pressed, bars(names, console, overall=overall) as update:
        shared: dict[str, Any] = {
            "should_stop": lambda: pressed() or time.monotonic() > deadline,
            "progress": update,
            "notice": lambda index, text: say(console, f"{names[index]}: {text}"),
        }
        if cluster is not None:
            outcomes = sweep_on(
                cluster, jobs, workers=workers, threads=threads, settings=settings, **shared
            )
        elif len(jobs) > 1:
            outcomes = sweep(
                jobs,
                workers=workers,
                threads=threads,
                together=together,
                settings=settings,
                among=among,
                **shared,
            )
        else:
            settings = with_engine(jobs[0].run, worth_compiling(among or []), settings)
            outcomes = [_run_here(jobs[0], settings, threads, **shared)]
        interrupted = pressed()
    if interrupted:
        _say_problems(outcomes, console)
        raise KeyboardInterrupt
    return outcomes


def chosen_cluster(options: argparse.Namespace) -> Cluster | None:
    """The cluster that ``--on``, ``--storage`` and ``--address`` name; None: this machine.

    Raises:
        UserError: one of them goes without another.
    """
    if options.on == "local":
        for flag in ("storage", "address"):
            if getattr(options, flag) is not None:
                raise UserError(f"--{flag} is of a cluster: say --on ray, too, or leave it out")
        return None
    if options.storage is None:
        raise UserError(
            "--on ray needs --storage: a folder that all nodes share, or s3://…, gs://…, hdfs://…"
        )
    return Cluster(options.storage, options.address or "auto")


def report_outcomes(outcomes: list[Outcome], console: Console) -> int:
    """Say what did not end well, or nearly did not; exit code."""
    _say_problems(outcomes, console)
    if any(outcome.state == "stopped" for outcome in outcomes):
        say(console, "stopped before the end; the same command goes on")
    return max((outcome.code for outcome in outcomes), default=0)


def _say_problems(outcomes: list[Outcome], console: Console) -> None:
    remarks = [outcome.remark for outcome in outcomes if outcome.remark]
    problems = [outcome.problem for outcome in outcomes if outcome.problem]
    for text, count in Counter([*remarks, *problems]).items():
        say(console, text if count == 1 else f"{text} ({count} runs)")


def _run_here(
    job: Job,
    settings: dict[str, Any],
    threads: int | None,
    *,
    should_stop: Callable[[], bool],
    progress: Callable[[int, Progress], None],
    notice: Callable[[int, str], None],
) -> Outcome:
    machine.own_process()
    loaded = train_one(
        job.run,
        job.out,
        threads=threads or thread_budget(job.run, at_once=1),
        should_stop=should_stop,
        progress=lambda now: progress(0, now),
        notice=lambda text: notice(0, text),
        **settings,
    )
    return Outcome(str(loaded.status["state"]))


def _jobs(options: argparse.Namespace) -> list[Job]:
    """A job a point of the grid; a grid's runs lie in sub-folders named after what varies."""
    out = usable_folder(options.out, "--out")
    runs = math.prod(len(dict.fromkeys(getattr(options, name))) for name in GRID)
    if runs > MOST_RUNS:
        raise UserError(f"that makes {runs:,} runs, more than {MOST_RUNS:,}: take fewer values")
    fixed = {name: value for name, value in vars(options).items() if name in _run_settings()}
    varying = [name for name in GRID if len(getattr(options, name)) > 1]
    jobs = []
    for values in itertools.product(*(dict.fromkeys(getattr(options, name)) for name in GRID)):
        point = dict(zip(GRID, values, strict=True))
        name = "_".join(f"{key}={_short(point[key])}" for key in varying)
        jobs.append(Job(Run(**{**fixed, **point}), out / name if varying else out))
    return jobs


def _run_settings() -> set[str]:
    return set(Run.__dataclass_fields__)


def _short(value: Any) -> str:
    """A value in a folder's name: short, but never two values alike."""
    if value is None:
        return "full"
    return short if float(short := f"{value:g}") == value else repr(value)
