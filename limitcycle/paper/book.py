"""What is left to look at: pictures, the table of claims, and the pages that hold them.

Each figure leaves its picture and a JSON file; the pages are composed from all that are there.
Everything is made from records: the same records give the same files.
"""

import base64
import dataclasses
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from limitcycle.paper.claim import judge
from limitcycle.paper.evidence import Evidence, MissingError
from limitcycle.paper.plan import Plan
from limitcycle.paper.scale import Scale
from limitcycle.record.files import disk_errors, read_json, write_json, write_whole

WIDTH = 6.9  # inches: a page's
MARKS = {"holds": "✓ holds", "fails": "✗ fails", "undecided": "– undecided"}

Entry = Mapping[str, Any]  # one figure as it came out: the content of its JSON file


def make_entry(plan: Plan, folder: Path) -> Entry:
    """Draw a figure into ``folder`` (PNG and SVG), judge its claims, keep both beside it."""
    figure, evidence = plan.figure, plan.evidence()
    picture, problem = _draw(plan, evidence, folder)
    entry = {
        "number": figure.number,
        "scale": plan.scale.name,
        "title": figure.title,
        "question": figure.question,
        "choices": list(figure.choices),
        "picture": picture,
        "problem": problem,
        **_spent(evidence),
        "claims": [
            {
                **{name: getattr(claim, name) for name in ("name", "statement", "source")},
                "refuted": claim.refuted,
                **_plain(dataclasses.asdict(judge(claim, evidence))),
            }
            for claim in figure.claims
        ],
    }
    write_json(folder / f"figure-{figure.number:02}.json", entry)
    return entry


def entries(folder: Path) -> list[Entry]:
    """The figures that have been made into ``folder``, by number."""
    return [read_json(path) for path in sorted(folder.glob("figure-[0-9][0-9].json"))]


def write_book(scale: Scale, folder: Path) -> list[Path]:
    """Compose ``claims.json``, ``claims.md``, ``index.md`` and ``index.html`` from the figures."""
    made = entries(folder)
    claims = [{"figure": entry["number"], **claim} for entry in made for claim in entry["claims"]]
    texts = {
        "claims.md": claims_markdown(made),
        "index.md": _markdown(scale, made),
        "index.html": _html(scale, made, folder),
    }
    write_json(folder / "claims.json", {"scale": scale.name, "claims": claims})
    for name, text in texts.items():
        _write(folder / name, text)
    return [folder / name for name in ("claims.json", *texts)]


def tally(made: Sequence[Entry]) -> str:
    """How many claims hold, fail and are undecided: "31 hold, 3 fail, 4 undecided"."""
    outcomes = [claim["outcome"] for entry in made for claim in entry["claims"]]
    words = {"holds": "hold", "fails": "fail", "undecided": "undecided"}
    return ", ".join(f"{outcomes.count(name)} {word}" for name, word in words.items())


def claims_markdown(made: Sequence[Entry]) -> str:
    """The table of claims in Markdown, a row a claim."""
    lines = ["| figure | claim | refuted by | verdict | measured |", "|---|---|---|---|---|"]
    for entry in made:
        for claim in entry["claims"]:
            statement = f"{claim['statement']} *({claim['source']})*"
            cells = (str(entry["number"]), statement, claim["refuted"], MARKS[claim["outcome"]])
            lines.append(_row(*cells, _measured(claim)))
    return "\n".join(lines) + "\n"


def _draw(plan: Plan, evidence: Evidence, folder: Path) -> tuple[str | None, str]:
    """The picture's name, or why there is none."""
    # matplotlib comes with an extra, and is not needed to list the figures.
    from limitcycle.report.paint import paint_sheet

    try:
        rows = plan.figure.draw(evidence)
    except MissingError as missing:
        return None, str(missing)
    name = f"figure-{plan.figure.number:02}.png"
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path in (folder / name, (folder / name).with_suffix(".svg")):
            paint_sheet(rows, path, width=WIDTH)
    return name, ""


def _spent(evidence: Evidence) -> dict[str, Any]:
    """How many runs a figure rests on, and what they cost."""
    runs = [run for label in evidence.recorded for run in evidence.recorded[label]]
    timings = [read_json(run.path / "timing.json") for run in runs]  # type: ignore[attr-defined]
    remarks = sorted({run.info["remark"] for run in runs if run.info.get("remark")})
    devices = sorted({str(run.info.get("device", "?")) for run in runs})
    return {
        "runs": len(runs),
        "seeds": max((len(found) for found in evidence.recorded.values()), default=0),
        "seconds": round(sum(sum(each["seconds"].values()) for each in timings)),
        "devices": devices,
        "remarks": remarks,
    }


def _markdown(scale: Scale, made: Sequence[Entry]) -> str:
    """The index page: every picture with its question, then the claims."""
    parts = [
        f"# The paper at {scale.name} scale\n",
        f"{scale.what[0].upper()}{scale.what[1:]}.\n",
        f"Made by `limitcycle paper --scale {scale.name}`. Claims: {tally(made)} "
        "([table](#claims)).\n",
    ]
    for entry in made:
        parts.append(f"## Figure {entry['number']}: {entry['title']}\n\n{entry['question']}\n")
        if entry["picture"]:
            parts.append(f"![Figure {entry['number']}]({entry['picture']})\n")
        else:
            parts.append(f"Not drawn: {entry['problem']}.\n")
        parts += [f"- Our choice: {choice}\n" for choice in entry["choices"]]
        parts.append(f"{_effort(entry)}\n")
    return "\n".join([*parts, "## Claims\n", claims_markdown(made)])


def _html(scale: Scale, made: Sequence[Entry], folder: Path) -> str:
    """The same as one self-contained page."""
    sections = []
    for entry in made:
        image = f"<p>Not drawn: {escape(entry['problem'])}.</p>"
        if entry["picture"]:
            content = base64.b64encode((folder / entry["picture"]).read_bytes()).decode()
            image = f'<img alt="Figure {entry["number"]}" src="data:image/png;base64,{content}">'
        choices = "".join(f"<li>{escape(choice)}</li>" for choice in entry["choices"])
        sections.append(
            f'<section id="figure-{entry["number"]}"><h2>Figure {entry["number"]}: '
            f"{escape(entry['title'])}</h2><p>{escape(entry['question'])}</p>{image}"
            f"<ul>{choices}</ul><p class=effort>{escape(_effort(entry))}</p></section>"
        )
    rows = [_html_row(entry, claim) for entry in made for claim in entry["claims"]]
    return Template(_PAGE).substitute(
        scale=escape(scale.name),
        what=escape(scale.what),
        tally=escape(tally(made)),
        rows="\n".join(rows),
        sections="\n".join(sections),
    )


def _html_row(entry: Entry, claim: Mapping[str, Any]) -> str:
    figure = f'<a href="#figure-{entry["number"]}">{entry["number"]}</a>'
    statement = f"{escape(claim['statement'])} <small>{escape(claim['source'])}</small>"
    verdict = f'<td class="{claim["outcome"]}">{MARKS[claim["outcome"]]}</td>'
    measured = f"<td>{escape(_measured(claim))}</td>"
    refuted = f"<td>{escape(claim['refuted'])}</td>"
    return f"<tr><td>{figure}</td><td>{statement}</td>{refuted}{verdict}{measured}</tr>"


def _measured(claim: Mapping[str, Any]) -> str:
    likely = f" Likely reason: {claim['likely']}." if claim["likely"] else ""
    return f"{claim['measured']}{likely}"


def _effort(entry: Entry) -> str:
    if not entry["runs"]:
        return "No runs: it is theory."
    seeds = f"{entry['seeds']} seed{'s' if entry['seeds'] != 1 else ''}"
    devices = ", ".join(entry["devices"])
    effort = f"{entry['seconds'] / 60:.1f} minutes of training on {devices}"
    remarks = "".join(f" Note: {remark}." for remark in entry["remarks"])
    return f"{entry['runs']} runs, {seeds}, {effort}.{remarks}"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _write(path: Path, text: str) -> None:
    write_whole(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def _plain(value: Any) -> Any:
    """``value`` as JSON takes it: numbers that are not finite become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int):
        return value
    number = float(value)
    return float(f"{number:.6g}") if math.isfinite(number) else None


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The paper at $scale scale</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff; }
img { width: 100%; max-width: 62rem; } small { color: #666; } .effort { color: #666; }
table { border-collapse: collapse; width: 100%; } td, th { border-top: 1px solid #ddd;
padding: .35rem .5rem; text-align: left;
vertical-align: top; } td:nth-child(4) { white-space: nowrap; }
.holds { color: #00694d; } .fails { color: #b03a00; font-weight: 600; } .undecided { color: #666; }
</style></head><body>
<h1>The paper at $scale scale</h1><p>$what. Claims: $tally.</p>
<h2>Claims</h2><table><tr><th>figure</th><th>claim</th><th>refuted by</th><th>verdict</th>
<th>measured</th></tr>
$rows
</table>
$sections
</body></html>
"""
