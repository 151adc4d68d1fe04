"""All that is claimed about speed, in one table.

Every part runs in a process of its own and is written to the file as soon as it is done, so that a
bench that was stopped is gone on with by naming the parts that are missing.

    make bench                       # everything: ten minutes on two idle cores
    make bench ONLY="watch control"  # some parts; the others stay as they are in bench.json
    make bench-docs                  # bench.json into docs/, and its table into performance.md

What a part measures is said in its module (`python -m benchmarks.MODULE --help`).
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common import Row, alone, machine_in_words, options, table
from limitcycle.lab.machine import cores, git_state
from limitcycle.record.files import write_json


class Part(NamedTuple):
    """A module with ``rows(**settings)``, in a process of its own."""

    module: str
    settings: Mapping[str, Any]


PARTS = {
    "records": Part("records", {}),
    "engine": Part("engine_overhead", {}),
    "compiled": Part("compiled", {}),
    "machine": Part("machine", {}),
    "search": Part("search_cost", {}),
    "control": Part("control_overhead", {}),
    "watch": Part("watch_overhead", {}),
    "versus": Part("versus", {}),
}
DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def main() -> int:
    """Measure what was asked for and print the table; 1 where a bound is missed or a part fails."""
    parser = options(__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--out", type=Path, default=Path("bench.json"), metavar="FILE")
    parser.add_argument("--publish", action="store_true", help="measure nothing: FILE into docs/")
    given = parser.parse_args()
    unknown = [name for name in given.parts if name not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]}; there are {', '.join(PARTS)}")
    if given.publish:
        publish(read(given.out), DOCS)
        return 0
    sound = measure(given.parts or list(PARTS), given.out)
    print(in_words(read(given.out)))
    return 0 if sound else 1


def measure(
    names: Sequence[str],
    out: Path,
    parts: Mapping[str, Part] = PARTS,
    start: Callable[..., Any] = alone,
) -> bool:
    """Measure the parts, writing each to ``out``; whether all bounds were kept."""
    load = os.getloadavg()[0]
    if load > cores() / 2:
        print(f"bench: the machine is busy (load {load:.1f}): expect scatter", file=sys.stderr)
    sound = True
    for name in names:
        print(f"bench: {name} …", file=sys.stderr, flush=True)
        began = time.perf_counter()
        try:
            rows = start(rows_of, parts[name])
        except Exception:
            traceback.print_exc()
            print(f"bench: {name} failed; the others go on", file=sys.stderr)
            sound = False
            continue
        content = read(out)
        content[name] = {
            "machine": start(machine_in_words),
            "code": git_state(),
            "load_before": round(load, 2),
            "seconds": round(time.perf_counter() - began, 1),
            "rows": [row.to_dict() for row in rows],
        }
        write_json(out, content)
        sound &= all(row.ok is not False for row in rows)
    return sound


def rows_of(part: Part) -> list[Row]:
    """Measure a part."""
    rows: list[Row] = import_module(f"benchmarks.{part.module}").rows(**part.settings)
    return rows


def read(path: Path) -> dict[str, Any]:
    """What has been measured, by part in the order of `PARTS`; nothing where there is no file."""
    content = json.loads(path.read_text()) if path.exists() else {}
    return {name: content[name] for name in [*PARTS, *content] if name in content}


def in_words(content: Mapping[str, Any]) -> str:
    """One table of all parts, and where they were measured."""
    rows = [Row.from_dict(row) for part in content.values() for row in part["rows"]]
    lines = [table(rows), ""]
    for machine in dict.fromkeys(part["machine"] for part in content.values()):
        here = [name for name, part in content.items() if part["machine"] == machine]
        loads = ", ".join(f"{name} {content[name]['load_before']:g}" for name in here)
        lines.append(f"Measured on: {machine}. Load when it began: {loads}.")
    seconds = sum(part["seconds"] for part in content.values())
    missed = [row.what for row in rows if row.ok is False]
    lines.append(f"{seconds / 60:.0f} minutes in all. Missed: {'; '.join(missed) or 'none'}.")
    return "\n".join(lines)


def publish(content: Mapping[str, Any], docs: Path) -> None:
    """Keep the measurement in ``docs`` and put its table into the page."""
    write_json(docs / "bench.json", content)
    page = docs / "performance.md"
    text = page.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{in_words(content)}\n{END}{after}")


if __name__ == "__main__":
    sys.exit(main())
