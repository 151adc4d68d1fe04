"""``limitcycle demo``: five real runs, a table and a page."""

import argparse
import math

from rich import box
from rich.console import Console
from rich.table import Table

from limitcycle.checks import usable_folder
from limitcycle.cli.train import refuse_impossible, report_outcomes, run_jobs
from limitcycle.lab import demo_jobs
from limitcycle.record import load
from limitcycle.report import Summary, summarise, write_report


def demo(options: argparse.Namespace) -> int:
    """Train the demonstration's runs, print their table and write their report; exit code."""
    console = Console()
    out = usable_folder(options.out, "--out")
    jobs = demo_jobs(out, options.seed)
    refuse_impossible(jobs)
    console.print(
        "A small network with normalisation and weight decay learns handwritten digits, five times."
    )
    outcomes = run_jobs(jobs, console, {}, options.workers)
    code = report_outcomes(outcomes, Console(stderr=True))
    finished = [
        load(job.out)
        for job, outcome in zip(jobs, outcomes, strict=True)
        if outcome.state == "done"
    ]
    if finished:
        console.print(table(summarise(finished)))
        page = write_report(finished, out / "report.html", title="What your loss spikes are")
        console.print(f"Look at it: {page.resolve()}", soft_wrap=True, highlight=False)
    return code


def table(summaries: list[Summary]) -> Table:
    """The summaries as a table for the terminal."""
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    shown.add_column("learning\nrate", no_wrap=True)
    for heading in (
        "destabil-\nisations",
        "period\n(steps)",
        "effective\nlearning rate",
        "final\nerror",
    ):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("verdict")
    for summary in summaries:
        shown.add_row(
            _number(summary.lr, "g") + (" (full batch)" if "full batch" in summary.label else ""),
            str(summary.destabilisations),
            _number(summary.period, ",.0f"),
            " – ".join(_number(value, ".0e") for value in summary.effective_lr),
            _number(summary.final_error, ".1%"),
            summary.verdict,
        )
    return shown


def _number(value: float, form: str) -> str:
    return "–" if math.isnan(value) else format(value, form)
