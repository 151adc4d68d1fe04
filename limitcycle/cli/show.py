"""``limitcycle report`` and ``limitcycle diagnose``: recorded runs as pictures and as words."""

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from limitcycle.cli.bars import say
from limitcycle.dynamics import Verdict, words
from limitcycle.dynamics import diagnose as diagnose_frame
from limitcycle.errors import UserError
from limitcycle.record import LoadedRun, load_all

_SEPARATORS = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}


def report(options: argparse.Namespace) -> int:
    """Draw the runs; exit code."""
    from limitcycle.report import save_pictures, write_report

    folders = [_given(folder) for folder in options.runs]
    runs = [run for folder in folders for run in load_all(folder)]
    out = folders[0] / "report.html" if options.out is None else _given(options.out)
    suffix = out.suffix.lower()
    if suffix == ".html":
        written = [write_report(runs, out, axis=options.axis)]
    elif suffix in (".png", ".svg"):
        written = save_pictures(runs, out, axis=options.axis)
    else:
        raise UserError(f"{out}: a report ends in .html, a picture in .png or .svg")
    for path in written:
        say(Console(), str(path.resolve()))
    return 0


def diagnose(options: argparse.Namespace) -> int:
    """Say what each run is doing; exit code."""
    path = _given(options.path)
    if path.is_dir():
        named = {run.name: diagnose_run(run) for run in load_all(path)}
    else:
        frame = _read_table(path)
        given = {name: getattr(options, name) for name in ("lr", "weight_decay", "momentum")}
        named = {path.name: diagnose_frame(frame, **given)}
    console = Console()
    if options.json:
        console.print_json(json.dumps({name: _plain(v) for name, v in named.items()}))
        return 0
    for name, verdict in named.items():
        heading = f"{name}: {verdict.label}"
        console.print(heading, style="bold", markup=False, highlight=False, soft_wrap=True)
        wrapped = console.is_terminal  # elsewhere a line is a line, for grep
        console.print(
            words.paragraph(verdict), markup=False, highlight=False, soft_wrap=not wrapped
        )
    return 0


def diagnose_run(run: LoadedRun) -> Verdict:
    """The verdict on a recorded run, from its step table."""
    size = run.run.batch_size if isinstance(run.run.batch_size, int) else None
    return diagnose_frame(
        run.steps,
        momentum=run.run.momentum,
        status=run.status,
        batch_size=size,
        train_size=run.info.get("train_size"),
    )


def _given(path: str) -> Path:
    """``path``, unless it is empty: an unset variable of a shell does not mean this folder."""
    if not path.strip():
        raise UserError("a path is empty: give a run's folder or a table")
    return Path(path)


def _read_table(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise UserError(f"{path} does not exist: give a run's folder or a table")
    name = path.name.lower()
    separators = [mark for end, mark in _SEPARATORS.items() if name.endswith(end)]
    if not (separators or name.endswith(".parquet")):
        raise UserError(f"{path}: a table is a .csv, .tsv (also .gz) or .parquet file")
    try:
        return pd.read_csv(path, sep=separators[0]) if separators else pd.read_parquet(path)
    except Exception as problem:
        reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise UserError(f"{path} cannot be read as a table ({reason})") from None


def _plain(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON values; numbers that are not finite become null."""
    return {
        "label": verdict.label,
        "period": verdict.period if verdict.period == verdict.period else None,
        "reason": verdict.reason,
        "events": verdict.events.to_dict("records"),
        "phases": verdict.phases.to_dict("records"),
    }
