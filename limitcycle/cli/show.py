"""``limitcycle report`` and ``limitcycle diagnose``: recorded runs as pictures and as words."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from limitcycle.checks import one_line, usable_path
from limitcycle.cli.tables import Table, read_files, read_logs_below
from limitcycle.cli.voice import say, say_paragraph
from limitcycle.errors import UserError
from limitcycle.reading import Diagnosis
from limitcycle.reading import diagnose as diagnosed
from limitcycle.record import LoadedRun
from limitcycle.record.loaded import load_sound

_KNOWN = ("lr", "weight_decay", "momentum", "stuck_above")  # what the table does not say


def report(options: argparse.Namespace) -> int:
    """Draw the runs; exit code."""
    from limitcycle.report import save_pictures, write_report

    folders = [usable_path(folder) for folder in options.runs]
    runs, problems = _sound(folders)
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
    return _left_out(problems)


def diagnose(options: argparse.Namespace) -> int:
    """Say what each run is doing; exit code."""
    paths = [usable_path(path) for path in options.paths]
    if len(paths) > 1 and any(path.is_dir() for path in paths):
        raise UserError("give one folder at a time; it may hold many runs")
    problems: list[UserError] = []
    if paths[0].is_dir():
        named, problems = _judged_folder(paths[0], options)
    else:
        named = _judged(*read_files(paths, _roles(options)), options)
    if options.json:
        content = {name: found.to_dict() for name, found in named.items()}
        say(json.dumps(content, indent=2, ensure_ascii=False))
        return _left_out(problems)
    for name, found in named.items():
        headline, *lines = str(found).splitlines()
        say(f"{name}: {headline}", bold=True)
        for line in lines:
            say_paragraph(line)
    return _left_out(problems)


def _sound(folders: Sequence[Path]) -> tuple[list[LoadedRun], list[UserError]]:
    """The runs below ``folders`` whose tables can be read, and what is wrong with the others.

    Raises:
        UserError: none can be read.
    """
    runs: list[LoadedRun] = []
    problems: list[UserError] = []
    for folder in folders:
        opened, damaged = load_sound(folder)
        problems += damaged
        for run in opened:
            try:
                _ = run.steps, run.epochs, run.groups  # read now, not in the middle of a page
                runs.append(run)
            except UserError as problem:
                problems.append(problem)
    if not runs:
        raise _none_of(problems)
    return runs, problems


def _none_of(problems: Sequence[UserError]) -> UserError:
    """In one line why there is nothing to show."""
    if len(problems) == 1:
        return problems[0]
    return UserError(f"none of {len(problems):,} runs can be read, the first because {problems[0]}")


def _left_out(problems: Sequence[UserError]) -> int:
    """Name the runs that cannot be read; exit code."""
    for problem in problems:
        say(f"left out: {one_line(str(problem))}", aside=True)
    return 2 if problems else 0


def _judged_folder(
    folder: Path, options: argparse.Namespace
) -> tuple[dict[str, Diagnosis], list[UserError]]:
    """The recorded runs and the TensorBoard runs in ``folder`` and below; which cannot be read."""
    recorded: list[LoadedRun] = []
    problems: list[UserError] = []
    if any(folder.rglob("run.json")):
        recorded, problems = load_sound(folder)
    named: dict[str, Diagnosis] = {}
    for run in recorded:
        try:
            named[run.name] = diagnosed(run)
        except UserError as problem:
            problems.append(problem)
    try:
        tables, refused = read_logs_below(folder, _roles(options))
    except UserError as problem:
        if not (named or problems):
            raise
        tables, refused = [], [str(problem)]
    if not (named or tables):
        if problems:
            raise _none_of(problems)
        raise UserError(
            f"there is no run in {folder} or below: no run.json, no event file of TensorBoard, "
            "no run of MLflow"
        )
    return {**named, **_judged(tables, refused, options)}, problems


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
