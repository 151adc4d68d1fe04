"""``limitcycle map``: the plane of two settings, its picture growing while the cells are made."""

import argparse
import math
import time
from typing import Any

import pandas as pd
from rich.console import Console

from limitcycle.checks import shown, usable_folder, usable_path
from limitcycle.cli.atlas import letters, regions, short
from limitcycle.cli.bars import bars, interruptible, say
from limitcycle.cli.settings import RANGES, SETTINGS, Setting, values
from limitcycle.errors import UserError, did_you_mean
from limitcycle.lab import Map, machine, plane_of
from limitcycle.lab.how import How
from limitcycle.lab.plane import AXES, UNITS
from limitcycle.report import check_map_picture, save_map, write_map_page


def map_plane(options: argparse.Namespace) -> int:
    """Make the map that ``options`` describe, its tables and its picture; exit code."""
    console, aside = Console(), Console(stderr=True)
    plane = plane_of(_settings(options), units=UNITS if options.units is None else options.units)
    out = usable_folder(options.out, "--out")
    picture = out / "map.png" if options.png is None else usable_path(options.png, "--png")
    check_map_picture(picture)
    usable_folder(picture.parent, "--png")
    How(options.device, options.threads)  # refuses what cannot be, before anything is done
    made = Map(plane, out)
    _announce(made, options.workers or machine.cores(), aside)

    def keep(table: pd.DataFrame) -> None:
        made.write()
        save_map(plane, table, picture)

    def staged(table: pd.DataFrame) -> None:
        keep(table)
        say(aside, f"{_done(table)} of {len(table)} cells: {picture}")

    interrupted = _make(made, options, aside, staged)
    table = made.table()
    keep(table)
    page = write_map_page(plane, table, out / "map.html")
    if interrupted:
        raise KeyboardInterrupt
    console.print(letters(plane, table, console.width))
    console.print(regions(table, console))
    if made.missing:
        say(aside, f"{len(made.missing)} cells are missing; the same command goes on")
    say(console, f"Look at it: {picture.resolve()}, or cell by cell: {page.resolve()}")
    return 1 if (table["state"] == "failed").any() else 0


def _make(made: Map, options: argparse.Namespace, console: Console, staged: Any) -> bool:
    """Train what is missing under progress bars; whether Ctrl-C was pressed."""
    names = [_name(made, cell) for cell in made.missing]
    deadline = time.monotonic() + (options.stop_after or math.inf)
    with interruptible(console) as pressed, bars(names, console, overall=True) as update:
        made.make(
            workers=options.workers,
            threads=options.threads,
            device=options.device,
            compile=options.compile,
            should_stop=lambda: pressed() or time.monotonic() > deadline,
            progress=update,
            notice=lambda text: say(console, text),
            staged=staged,
        )
        return pressed()


def _announce(made: Map, workers: int, console: Console) -> None:
    """What there is and what is to be done, before it costs anything."""
    plane, there = made.plane, _done(made.table())
    steps = sum(cell.run.steps or 0 for cell in made.missing if cell.run)
    what = f"{len(plane.xs)} × {len(plane.ys)} cells, {there} of them there"
    say(console, f"{what}; {steps:,} updates to make, {workers} runs at once")


def _name(made: Map, cell: Any) -> str:
    plane = made.plane
    return f"{plane.x} {short(plane.xs[cell.column])}, {plane.y} {short(plane.ys[cell.row])}"


def _done(table: pd.DataFrame) -> int:
    return int((table["state"] == "done").sum())


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """The settings of all cells, the two axes with their values first."""
    axes = [_axis("--x", options.x), _axis("--y", options.y)]
    if axes[0] == axes[1]:
        raise UserError(f"--x and --y are both {options.x}: choose two settings")
    by_name = {setting.name: setting for setting in SETTINGS}
    found = {name: _along(by_name[name], getattr(options, name)) for name in axes}
    for setting in SETTINGS:
        given = getattr(options, setting.name, None)
        if given is not None and setting.name not in axes:
            found[setting.name] = _one(setting, given) if isinstance(given, list) else given
    return found


def _axis(flag: str, text: str) -> str:
    name = text.replace("-", "_")
    if name not in AXES:
        known = [each.replace("_", "-") for each in AXES]
        meant = did_you_mean(text, known) or f"; choose of {', '.join(known)}"
        raise UserError(f"{flag} {shown(text)} is no setting that spans a plane{meant}")
    return name


def _along(setting: Setting, given: list[Any] | None) -> list[Any]:
    if setting.kind is bool:
        return [False, True]
    if given is None and setting.name in RANGES:
        return values(RANGES[setting.name], setting)
    if given is None or len(given) < 2:
        example = "0 0.5 0.9" if setting.name == "momentum" else "VALUE VALUE …"
        raise UserError(
            f"the axis {setting.flag[2:]} needs several values: {setting.flag} {example}, "
            f"or {setting.flag} LOW:HIGH:COUNT"
        )
    return given


def _one(setting: Setting, given: list[Any]) -> Any:
    if len(given) > 1:
        name = setting.flag[2:]
        raise UserError(
            f"{setting.flag} has {len(given)} values but is no axis: give one, or say --x {name}"
        )
    return given[0]
