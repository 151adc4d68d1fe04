"""The pages of results: the index and the table of claims in Markdown, and one page of HTML.

They are composed from entries alone: a figure each, as it came out.
"""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from limitcycle.paper.scale import Scale

COLUMNS = ("figure", "claim", "published", "ours, over seeds", "verdict", "refuted by")
MARKS = {"holds": "✓ holds", "fails": "✗ fails", "undecided": "– undecided"}

Entry = Mapping[str, Any]  # one figure as it came out: the content of its JSON file


def tally(made: Sequence[Entry]) -> str:
    """How many claims hold, fail and are undecided: "31 hold, 3 fail, 4 undecided"."""
    outcomes = [claim["outcome"] for entry in made for claim in entry["claims"]]
    words = {"holds": "hold", "fails": "fail", "undecided": "undecided"}
    return ", ".join(f"{outcomes.count(name)} {word}" for name, word in words.items())


def published(claim: Mapping[str, Any]) -> str:
    """What the paper reports in numbers; a dash where it names none."""
    return str(claim.get("published") or "–")


def verdict(claim: Mapping[str, Any]) -> str:
    """The verdict with its mark, and how many seeds it rests on where they were asked singly."""
    mark, seeds = MARKS[claim["outcome"]], claim.get("seeds") or {}
    if not seeds:
        return mark
    if claim["outcome"] != "undecided":
        return f"{mark} ({sum(seeds.values())} of {sum(seeds.values())} seeds)"
    untold = f", {seeds['undecided']} cannot tell" if seeds["undecided"] else ""
    return f"{mark} (holds in {seeds['holds']}, fails in {seeds['fails']}{untold})"


def measured(claim: Mapping[str, Any]) -> str:
    """What was measured for a claim, with all that its readers must know."""
    # The reason itself says whether it was measured or is only possible.
    parts = [claim["measured"], *([f"Why: {claim['likely']}"] if claim["likely"] else [])]
    return ". ".join([*parts, *(f"Note: {remark}" for remark in claim["remarks"])])


def claims_markdown(made: Sequence[Entry]) -> str:
    """The table of claims in Markdown, a row a claim."""
    lines = [_row(*COLUMNS), "|---" * len(COLUMNS) + "|"]
    for entry in made:
        for claim in entry["claims"]:
            statement = f"{claim['statement']} *({claim['source']})*"
            found = (published(claim), measured(claim), verdict(claim), claim["refuted"])
            lines.append(_row(str(entry["number"]), statement, *found))
    return "\n".join(lines) + "\n"


def index_markdown(scale: Scale, made: Sequence[Entry], others: Sequence[str] = ()) -> str:
    """The index page: every picture with its question, then the claims.

    ``others``: links to the results at other scales.
    """
    parts = [
        f"# The paper at {scale.name} scale\n",
        f"{scale.what[0].upper()}{scale.what[1:]}.\n",
        f"Made by `limitcycle paper --scale {scale.name}`: {_how_many(made)} of the paper's "
        f"nineteen figures are here. Claims: {tally(made)} "
        "([table](#claims)).\n",
        *(f"At another scale: {other}.\n" for other in others),
    ]
    for entry in made:
        parts.append(f"## Figure {entry['number']}: {entry['title']}\n\n{entry['question']}\n")
        if entry["picture"]:
            parts.append(f"![Figure {entry['number']}]({entry['picture']})\n")
        else:
            parts.append(f"Not drawn: {entry['problem']}.\n")
        if entry["choices"]:
            parts.append("\n".join(f"- Our choice: {choice}" for choice in entry["choices"]) + "\n")
        parts.append(f"{_effort(entry)}{_not_asked(entry)}\n")
    return "\n".join([*parts, "## Claims\n", claims_markdown(made), _provenance(made)])


def page(scale: Scale, made: Sequence[Entry], folder: Path) -> str:
    """The same as one self-contained page of HTML; the pictures are taken from ``folder``."""
    rows = [_html_row(entry, claim) for entry in made for claim in entry["claims"]]
    return Template(_PAGE).substitute(
        scale=escape(scale.name),
        what=escape(scale.what),
        tally=escape(tally(made)),
        columns="".join(f"<th>{name}</th>" for name in COLUMNS),
        rows="\n".join(rows),
        sections="\n".join(_section(entry, folder) for entry in made),
        provenance=escape(_provenance(made)),
    )


def _section(entry: Entry, folder: Path) -> str:
    image = f"<p>Not drawn: {escape(entry['problem'])}.</p>"
    if entry["picture"]:
        content = base64.b64encode((folder / entry["picture"]).read_bytes()).decode()
        image = f'<img alt="Figure {entry["number"]}" src="data:image/png;base64,{content}">'
    choices = "".join(f"<li>{escape(choice)}</li>" for choice in entry["choices"])
    return (
        f'<section id="figure-{entry["number"]}"><h2>Figure {entry["number"]}: '
        f"{escape(entry['title'])}</h2><p>{escape(entry['question'])}</p>{image}"
        f"<ul>{choices}</ul><p class=effort>{escape(_effort(entry))}</p></section>"
    )


def _html_row(entry: Entry, claim: Mapping[str, Any]) -> str:
    figure = f'<a href="#figure-{entry["number"]}">{entry["number"]}</a>'
    statement = f"{escape(claim['statement'])} <small>{escape(claim['source'])}</small>"
    came = f'<td class="{claim["outcome"]}">{verdict(claim)}</td>'
    paper, ours = f"<td>{escape(published(claim))}</td>", f"<td>{escape(measured(claim))}</td>"
    refuted = f"<td>{escape(claim['refuted'])}</td>"
    return f"<tr><td>{figure}</td><td>{statement}</td>{paper}{ours}{came}{refuted}</tr>"


def _effort(entry: Entry) -> str:
    if not entry["runs"]:
        return "No runs." if entry["problem"] else "No runs: it is theory."
    seeds = f"{entry['seeds']} seed{'s' if entry['seeds'] != 1 else ''}"
    devices = ", ".join(entry["devices"])
    effort = f"{entry['seconds'] / 60:.1f} minutes of training on {devices}"
    missing = "".join(f" Not made: {reason}." for reason in entry["skipped"])
    return f"{entry['runs']} runs, {seeds}, {effort}.{missing}{_notes(entry['remarks'])}"


def _not_asked(entry: Entry) -> str:
    """Claims that mean nothing at the entry's scale, or are asked in another's place there."""
    names = entry.get("not_asked") or []
    return f" Not asked at this scale: {', '.join(names)}." if names else ""


def _how_many(made: Sequence[Entry]) -> str:
    return "all" if len(made) == 19 else str(len(made))


def _provenance(made: Sequence[Entry]) -> str:
    """By which code the runs were made, and judged."""
    judged = sorted({entry["code"] for entry in made})
    trained = sorted({code for entry in made for code in entry["trained_by"]})
    runs = f"Runs made by {', '.join(trained)}. " if trained else ""
    return f"{runs}Drawn and judged by {', '.join(judged)}.\n" if judged else ""


def _notes(remarks: Sequence[str]) -> str:
    return "".join(f" Note: {remark}." for remark in remarks)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


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
vertical-align: top; }
.holds { color: #00694d; } .fails { color: #b03a00; font-weight: 600; } .undecided { color: #666; }
</style></head><body>
<h1>The paper at $scale scale</h1><p>$what. Claims: $tally.</p>
<h2>Claims</h2><table><tr>$columns</tr>
$rows
</table>
$sections
<p class=effort>$provenance</p>
</body></html>
"""
