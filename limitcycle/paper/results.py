"""What is left to look at: each figure's picture and verdicts, and the pages that hold them all.

Each figure leaves its picture and a JSON file; the pages are composed from all that are there.
Everything is made from records: the same records give the same files. A folder holds the figures of
one scale; those of another scale have a folder of its own, maybe below this one.
"""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from limitcycle._version import __version__
from limitcycle.errors import RunError, UserError
from limitcycle.lab import machine
from limitcycle.paper.claim import Claim, judge, said
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.pages import Entry, claims_markdown, index_markdown, page, tally
from limitcycle.paper.plan import Plan
from limitcycle.paper.scale import Scale
from limitcycle.record.described import read_seconds
from limitcycle.record.files import read_json, write_json, write_text

WIDTH = 6.9  # inches: a page's
REHEARSAL = "rehearsal.md"


def make_entry(plan: Plan, folder: Path) -> Entry:
    """Draw a figure into ``folder`` (PNG and SVG), judge its claims, keep both beside it.

    Raises:
        UserError: ``folder`` belongs to another scale, or may not be written.
    """
    open_results(plan.scale, folder)
    figure, evidence = plan.figure, plan.evidence()
    code = _code(__version__, machine.git_state())
    picture, problem = _draw(plan, evidence, folder)
    entry = {
        "number": figure.number,
        "scale": plan.scale.name,
        "title": figure.title,
        "question": figure.question,
        "choices": list(figure.choices),
        "picture": picture,
        "problem": problem,
        "code": code,
        **_spent(evidence),
        "skipped": list(plan.later().skipped),
        "claims": [_judged(claim, evidence.afresh()) for claim in figure.asked(plan.scale)],
        "not_asked": [each.name for each in figure.claims if each not in figure.asked(plan.scale)],
    }
    write_json(folder / f"figure-{figure.number:02}.json", entry)
    return entry


def open_results(scale: Scale, folder: Path) -> None:
    """Make sure that ``folder`` can take the figures of ``scale``.

    Raises:
        UserError: it holds those of another scale, or may not be written.
    """
    others = sorted({entry["scale"] for entry in entries(folder)} - {scale.name})
    if others:
        raise UserError(
            f"{folder} holds figures at {others[0]} scale: choose another --results for those at "
            f"{scale.name} scale, for example a folder below it"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as problem:
        reason = problem.strerror or problem
        raise UserError(f"cannot write {folder}: {reason}; choose another --results") from None


def entries(folder: Path) -> list[Entry]:
    """The figures that have been made into ``folder``, by number."""
    return [read_json(path) for path in sorted(folder.glob("figure-[0-9][0-9].json"))]


def write_results(scale: Scale, folder: Path) -> list[Path]:
    """Compose ``claims.json``, ``claims.md``, ``index.md`` and ``index.html`` from the figures.

    A folder below ``folder`` may hold the results of another scale: the index leads to it.

    Raises:
        UserError: ``folder`` holds figures of another scale, or may not be written.
    """
    open_results(scale, folder)
    made = entries(folder)
    claims = [{"figure": entry["number"], **claim} for entry in made for claim in entry["claims"]]
    texts = {
        "claims.md": "# Claims\n\n" + claims_markdown(made),
        "index.md": index_markdown(scale, made, _other_results(folder)),
        "index.html": page(scale, made, folder),
    }
    write_json(folder / "claims.json", {"scale": scale.name, "claims": claims})
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in ("claims.json", *texts)]


def write_rehearsal(text: str, folder: Path) -> None:
    """Keep the page of a rehearsal in ``folder``; the index of the results above leads to it."""
    write_text(folder / REHEARSAL, text)


def _judged(claim: Claim, evidence: Evidence) -> dict[str, Any]:
    """A claim with its finding, and what is to be known of the data it rests on."""
    finding = _plain(dataclasses.asdict(judge(claim, evidence)))
    texts = {name: getattr(claim, name) for name in ("name", "source", "published", "refuted")}
    statement = claim.said(evidence.scale)
    return {**texts, "statement": statement, **finding, "remarks": evidence.remarks()}


def _draw(plan: Plan, evidence: Evidence, folder: Path) -> tuple[str | None, str]:
    """The picture's name, or why there is none; a former one is removed then."""
    # matplotlib comes with an extra, and is not needed to list the figures.
    from limitcycle.report.paint import paint_sheet

    png = folder / f"figure-{plan.figure.number:02}.png"
    paths, seen = (png, png.with_suffix(".svg")), evidence.afresh()
    try:
        rows = plan.figure.draw(seen)
        paint_sheet(rows, *paths, width=WIDTH, footnote=_footnote(plan.scale, seen))
    except (RunError, Warning):  # the disk; somebody asked for warnings to be errors
        raise
    except UserError as missing:
        problem = str(missing)
    except Exception as unexpected:  # a record nobody thought of must not cost the other figures
        problem = f"the drawing failed: {said(unexpected)}"
    else:
        return png.name, ""
    for path in paths:
        path.unlink(missing_ok=True)
    return None, problem


def _footnote(scale: Scale, evidence: Evidence) -> str:
    """What a picture's readers must know of its runs; empty where it was drawn without any."""
    if not evidence.asked:
        return ""
    remarks = "".join(f". Note: {remark}" for remark in evidence.remarks())
    return f"{scale.name} scale: {scale.what}{remarks}"


def _spent(evidence: Evidence) -> dict[str, Any]:
    """How many runs a figure rests on, what made them, and what they cost."""
    runs = [run for label in evidence.recorded for run in evidence.recorded[label]]
    folders = sorted({run.path for run in runs})  # type: ignore[attr-defined]
    seconds = [sum(read_seconds(folder).values()) for folder in folders]
    trained = {_code(run.info.get("limitcycle", "?"), run.info.get("git")) for run in runs}
    return {
        "runs": len(folders),
        "seeds": max((len(found) for found in evidence.recorded.values()), default=0),
        "seconds": round(sum(seconds)),
        "devices": sorted({str(run.info.get("device", "?")) for run in runs}),
        "trained_by": sorted(trained),
        "remarks": sorted({run.info["remark"] for run in runs if run.info.get("remark")}),
    }


def _code(version: str, commit: str | None) -> str:
    return f"limitcycle {version}" + (f" ({commit})" if commit else "")


def _other_results(folder: Path) -> list[str]:
    """Links to the results below ``folder``, with how their claims came out."""
    links = []
    for path in sorted(folder.glob("*/claims.json")):
        content = read_json(path)
        figures = sorted({claim["figure"] for claim in content["claims"]})
        numbers, what = ", ".join(map(str, figures)), "figure" if len(figures) == 1 else "figures"
        link = f"{path.parent.name}/index.md"
        links.append(f"[{content['scale']} scale]({link}): {what} {numbers}; {tally([content])}")
    for path in sorted(folder.glob(f"*/{REHEARSAL}")):
        place = f"{path.parent.name}/{path.name}"
        made = "" if (path.parent / "claims.json").exists() else "; no figure has been made there"
        links.append(f"[rehearsal]({place}) of every kind of run, three steps each{made}")
    return links


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
