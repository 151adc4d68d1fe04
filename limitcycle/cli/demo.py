"""``limitcycle demo``: five real runs, a table and a page."""

import argparse
import math

from rich.console import Console
from rich.table import Table

from limitcycle.checks import usable_folder
from limitcycle.cli.bars import say
from limitcycle.cli.fitted import Heading, fitted
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
        console.print(table(summarise(finished), console))
        page = write_report(finished, out / "report.html", title="What your loss spikes are")
        say(console, f"Look at it: {page.resolve()}")
    return code


_HEADINGS = (
    Heading("learning\nrate", "left"),
    Heading("verdict", "left", least=20),
    Heading("final\nerror"),
    Heading("destabil-\nisations"),
    Heading("period\n(steps)"),
    Heading("effective\nlearning rate"),
)


def table(summaries: list[Summary], console: Console) -> Table:
    """The summaries as a table for ``console``."""
    return fitted(_HEADINGS, [_row(summary) for summary in summaries], console)


def _row(summary: Summary) -> list[str]:
    batches = "\nfull batch" if "full batch" in summary.label else ""
    return [
        _number(summary.lr, "g") + batches,
        summary.verdict,
        _number(summary.final_error, ".1%"),
        str(summary.destabilisations),
        _number(summary.period, ",.0f"),
        " – ".join(_number(value, ".0e") for value in summary.effective_lr),
    ]


def _number(value: float, form: str) -> str:
    return "–" if math.isnan(value) else format(value, form)
