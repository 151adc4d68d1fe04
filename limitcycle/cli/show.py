"""``limitcycle report`` and ``limitcycle diagnose``: recorded runs as pictures and as words."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from limitcycle.checks import usable_path
from limitcycle.cli.tables import Table, read_files, read_logs_below
from limitcycle.cli.voice import say, say_paragraph
from limitcycle.errors import UserError
from limitcycle.reading import Diagnosis
from limitcycle.reading import diagnose as diagnosed
from limitcycle.record import load_all

_KNOWN = ("lr", "weight_decay", "momentum", "stuck_above")  # what the table does not say


def report(options: argparse.Namespace) -> int:
    """Draw the runs; exit code."""
    from limitcycle.report import save_pictures, write_report

    folders = [usable_path(folder) for folder in options.runs]
    runs = [run for folder in folders for run in load_all(folder)]
    out = folders[0] / "report.html" if options.out is None else usable_path(options.out)
    suffix = out.suffix.lower()
    if suffix == ".html":
        written = [write_report(runs, out, axis=options.axis)]
    elif suffix in (".png", ".svg"):
        written = save_pictures(runs, out, axis=options.axis)
    else:
        raise UserError(f"{out}: a report ends in .html, a picture in .png or .svg")
    for path in written:
        say(str(path.resolve()))
    return 0


def diagnose(options: argparse.Namespace) -> int:
    """Say what each run is doing; exit code."""
    paths = [usable_path(path) for path in options.paths]
    if len(paths) > 1 and any(path.is_dir() for path in paths):
        raise UserError("give one folder at a time; it may hold many runs")
    if paths[0].is_dir():
        named = _judged_folder(paths[0], options)
    else:
        named = _judged(*read_files(paths, _roles(options)), options)
    if options.json:
        content = {name: found.to_dict() for name, found in named.items()}
        say(json.dumps(content, indent=2, ensure_ascii=False))
        return 0
    for name, found in named.items():
        say(f"{name}: {found.label}", bold=True)
        say_paragraph(str(found))
    return 0


def _judged_folder(folder: Path, options: argparse.Namespace) -> dict[str, Diagnosis]:
    """The recorded runs and the TensorBoard runs in ``folder`` and below."""
    recorded = load_all(folder) if any(folder.rglob("run.json")) else []
    try:
        tables, refused = read_logs_below(folder, _roles(options))
    except UserError as problem:
        if not recorded:
            raise
        tables, refused = [], [str(problem)]
    if not (recorded or tables):
        raise UserError(
            f"there is no run in {folder} or below: no run.json, no event file of TensorBoard, "
            "no run of MLflow"
        )
    named = {run.name: diagnosed(run) for run in recorded}
    return {**named, **_judged(tables, refused, options)}


def _judged(
    tables: Sequence[Table], refused: Sequence[str], options: argparse.Namespace
) -> dict[str, Diagnosis]:
    """The diagnoses of tables; what there is to say about these goes to stderr."""
    for table in tables:
        for note in table.notes:
            say(f"{table.name}: {note}", aside=True)
    for reason in refused:
        say(f"not judged: {reason}", aside=True)
    named: dict[str, Diagnosis] = {}
    for table in tables:
        called = [name for name in named if name.startswith(table.name)]
        name = table.name if table.name not in named else f"{table.name} ({len(called) + 1})"
        named[name] = _judged_table(table, options)
    return named


def _judged_table(table: Table, options: argparse.Namespace) -> Diagnosis:
    given = {name: getattr(options, name) for name in _KNOWN}
    try:
        found = diagnosed(table.frame, **given)
    except UserError as problem:
        raise UserError(f"{table.name}: {problem}") from None
    return replace(found, notes=(*table.notes, *found.notes))


def _roles(options: argparse.Namespace) -> dict[str, str | None]:
    return {role: getattr(options, role) for role in ("step", "loss", "norm")}
