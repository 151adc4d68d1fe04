"""``limitcycle paper``: list the figures, or make them: runs, pictures, claims, pages."""

import argparse
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from limitcycle.checks import usable_path, whole
from limitcycle.cli.bars import say
from limitcycle.cli.fitted import Heading, fitted
from limitcycle.cli.standing import duration, every_half_minute
from limitcycle.cli.train import chosen_cluster, report_outcomes, run_jobs
from limitcycle.errors import RunError, UserError
from limitcycle.lab import Cluster, Job, machine, rehearse
from limitcycle.lab.rehearsal import STEPS
from limitcycle.paper import (
    SEEDS,
    Plan,
    Scale,
    cost,
    entries,
    experiments,
    make_entries,
    missing,
    open_results,
    scale_named,
    tally,
    write_rehearsal,
    write_results,
)
from limitcycle.paper.pages import MARKS, Entry, measured
from limitcycle.paper.rehearsal import outcome, passed, rehearsal_markdown, workloads
from limitcycle.record import Run


def paper(options: argparse.Namespace) -> int:
    """List the figures, or make those that are named; exit code."""
    if options.figures and options.all:
        raise UserError("give the figures' numbers, or --all, not both")
    scale, cluster = scale_named(options.scale), chosen_cluster(options)
    out = usable_path(options.out or f"limitcycle-paper/{scale.name}", "--out")
    results = usable_path(options.results, "--results") if options.results else out
    seeds = _seeds(options.seeds, options.first_seed)
    plans = [Plan(figure, scale, out, seeds) for figure in experiments(tuple(options.figures))]
    workers = options.workers or machine.cores()
    console = Console()
    if not (options.figures or options.all):
        console.print(_overview(plans, workers, results, console))
        say(console, "Make them: limitcycle paper 2 5, or all: limitcycle paper --all")
        return 0
    open_results(scale, results)  # before hours of training
    if options.rehearse:
        return _rehearse(plans, options.device, results, console)
    code = _train(plans, options, cluster, workers, console)
    if options.stop_after:
        plans = _whole(plans, console)
    made: list[Entry] = []
    pages: list[Path] = []
    with _saying(console, lambda: f"{len(made)} of {len(plans)} figures drawn and judged"):
        for entry in make_entries(plans, results, workers):
            if isinstance(entry, RunError):
                say(Console(stderr=True), str(entry))
                code = max(code, 1)
                continue
            made.append(entry)
            pages = write_results(scale, results)
    if made:
        console.print(_claims(made, console))
        say(console, f"Claims: {tally(made)}.")
    if pages:
        say(console, f"Look at it: {pages[-1].resolve()}")
    return code


def _seeds(count: int | None, first: int) -> tuple[int, ...] | None:
    """The seeds of a point; None: the figure's own.

    Raises:
        UserError: there is no such count, or no such seed.
    """
    if count is None:
        count = len(SEEDS)
        if first == 0:
            return None
    return tuple(range(whole("--first-seed", first, least=0), first + count))


def _train(
    plans: list[Plan],
    options: argparse.Namespace,
    cluster: Cluster | None,
    workers: int,
    console: Console,
) -> int:
    """Make the runs that are missing, first those that stand alone; exit code."""
    code = 0
    deadline = time.monotonic() + (options.stop_after or math.inf)
    for later in (False, True):
        if time.monotonic() > deadline:
            break
        # What is made in pieces goes figure by figure, so that each piece ends in whole figures.
        runs = missing(plans, later=later, by_figure=options.stop_after is not None)
        for plan in plans if later else ():
            for reason in plan.later().skipped:
                say(console, f"figure {plan.figure.number}, {reason}")
        if not runs:
            continue
        scale = plans[0].scale
        estimate = duration(cost(scale, runs, workers))
        say(console, f"{len(runs)} runs to make, about {estimate} on {workers} workers")
        jobs = [Job(run, plans[0].folder(run)) for run in runs]
        settings = {"device": options.device, "compile": options.compile}
        # Threads change the bits: their number must not hang on how many runs are left to make.
        outcomes = run_jobs(
            jobs,
            console,
            settings,
            options.workers if cluster else workers,
            options.threads or 1,
            overall=True,
            stop_after=deadline - time.monotonic(),
            cluster=cluster,
            among=_all_runs(plans),
        )
        code = max(code, report_outcomes(outcomes, Console(stderr=True)))
    return code


def _all_runs(plans: list[Plan]) -> list[Run]:
    """Those that are known of, done or not."""
    found = {}
    for plan in plans:
        for runs in (*plan.runs.values(), *plan.later().runs.values()):
            found.update({run.identity: run for run in runs})
    return list(found.values())


def _whole(plans: list[Plan], console: Console) -> list[Plan]:
    """Those whose runs are all there: a figure of half its runs shows what is not so."""
    whole = [plan for plan in plans if not missing([plan]) and not missing([plan], later=True)]
    if len(whole) < len(plans):
        say(console, f"{len(whole)} of {len(plans)} figures have all of their runs")
    return whole


def _rehearse(plans: list[Plan], device: str, results: Path, console: Console) -> int:
    """Three steps of every kind of run, and a page that says how they went; exit code."""
    scale, found = plans[0].scale, workloads(plans)
    runs = sum(len(kind.names) for kind in found)
    say(
        console,
        f"{len(found)} kinds of runs (of {runs}), {STEPS} steps each; those that start from",
    )
    say(console, "others have the same nets and batches and are left out")
    tried: list[tuple[Any, Any]] = []
    rehearsed = rehearse([kind.run for kind in found], results / "rehearsal-runs", device)
    with _saying(console, lambda: f"{len(tried)} of {len(found)} kinds tried"):
        for kind, done in zip(found, rehearsed, strict=True):
            tried.append((kind, done))
            say(console, f"{'ok  ' if passed(done) else 'FAIL'} {kind.title}: {outcome(done)}")
            write_rehearsal(rehearsal_markdown(scale, tried, device), results)
    return 0 if all(passed(done) for _, done in tried) else 1


_OVERVIEW = (
    Heading("figure"),
    Heading("to go"),
    Heading("what it shows", "left", least=20),
    Heading("runs"),
    Heading("claims", "left"),
)
_CLAIMS = (
    Heading("figure"),
    Heading("verdict", "left"),
    Heading("claim", "left", least=24),
    Heading("measured", "left", least=24),
)


def _saying(console: Console, line: Callable[[], str]) -> AbstractContextManager[None]:
    """Inside, work that has no bar says how far it is."""
    return every_half_minute(line, lambda text: say(console, text))


def _overview(plans: list[Plan], workers: int, results: Path, console: Console) -> Table:
    """Every figure with what is there and what the rest will cost."""
    scale = plans[0].scale
    made = {entry["number"]: entry for entry in entries(results) if entry["scale"] == scale.name}
    rows = [_figure(plan, workers, made.get(plan.figure.number)) for plan in plans]
    left = [*missing(plans), *missing(plans, later=True)]
    what = f"at {scale.name} scale, shared runs made once; +: runs that start from others"
    rows.append(["all", _to_go(scale, left, workers), what, "", ""])
    return fitted(_OVERVIEW, rows, console, kept=3)


def _figure(plan: Plan, workers: int, entry: Entry | None) -> list[str]:
    left = [*missing([plan]), *missing([plan], later=True)]
    return [
        str(plan.figure.number),
        _to_go(plan.scale, left, workers),
        plan.figure.title,
        _share_done(plan, left),
        tally([entry]) if entry else "–",
    ]


def _to_go(scale: Scale, left: list[Run], workers: int) -> str:
    return duration(cost(scale, left, workers)) if left else "–"


def _share_done(plan: Plan, left: list[Run]) -> str:
    """Runs that are there, of all that are known: "4/6"; "4/6+" where more follow from them."""
    later = plan.later()
    known = {
        run.identity for runs in (plan.runs, later.runs) for each in runs.values() for run in each
    }
    return f"{len(known) - len(left)}/{len(known)}" + ("+" if later.skipped and left else "")


def _claims(made: list[Entry], console: Console) -> Table:
    styles = {"holds": "green", "fails": "red", "undecided": "dim"}
    rows = []
    for entry in made:
        for claim in entry["claims"]:
            verdict = Text(MARKS[claim["outcome"]], styles[claim["outcome"]])
            rows.append((str(entry["number"]), verdict, claim["statement"], measured(claim)))
    return fitted(_CLAIMS, rows, console, kept=3)
