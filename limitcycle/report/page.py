"""The report: runs as one self-contained, interactive HTML file that works without a network.

All data is escaped on three roads: texts into HTML, JSON into its script element (no ``<`` is left
in it), names into plotly's labels (`limitcycle.report.web`).
"""

import base64
import gzip
import json
from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any, get_args

from limitcycle._version import __version__
from limitcycle.errors import UserError
from limitcycle.extras import from_extra
from limitcycle.reading.clock import TimeAxis
from limitcycle.reading.data import Recorded
from limitcycle.reading.history import History
from limitcycle.reading.period import typical_period
from limitcycle.report.details import details, summary_row
from limitcycle.report.figure import TIME_LABELS
from limitcycle.report.legend import histories
from limitcycle.report.panels import check_axis, four_panels
from limitcycle.report.period import most_telling, one_period
from limitcycle.report.web import Clocks, encode_steps, paint_web
from limitcycle.report.writing import write_page

AXIS_NAMES: tuple[TimeAxis, ...] = get_args(TimeAxis)  # the page's buttons, as --axis has them


def write_report(
    runs: Sequence[Recorded], out: str | Path, *, axis: TimeAxis = "steps", title: str | None = None
) -> Path:
    """Write the report of ``runs`` into the file ``out``; an existing one is replaced.

    Args:
        runs: loaded runs, e.g. of `limitcycle.load_all`; drawn in this order.
        out: the HTML file.
        axis: the time axis that the page opens with; the reader may change it.
        title: the page's heading.

    Returns:
        ``out`` as a path.

    Raises:
        UserError: no runs, ``axis`` not defined for a run, ``out`` cannot be written, or plotly
            is not installed.
        RunError: the disk is full; an existing file is as it was.
    """
    drawn = histories(runs)
    for history in drawn:
        check_axis(history, axis)
    page = Template(asset("page.html")).substitute(
        title=escape(title or _title(drawn)),
        lead=escape(_lead(drawn)),
        version=escape(__version__),
        style=asset("report.css"),
        script=asset("report.js"),
        plotly=packed_plotly(),
        explanation=asset("explanation.html"),
        summary_rows="\n".join(summary_row(at, history) for at, history in enumerate(drawn)),
        details="\n".join(details(history) for history in drawn),
        data=script_safe(_data(drawn, axis)),
    )
    return write_page(Path(out), page)


def _data(drawn: Sequence[History], axis: TimeAxis) -> dict[str, Any]:
    """Everything the page's script draws."""
    clocks = Clocks()
    return {
        "axis": axis,
        "axisNames": AXIS_NAMES,
        "axisLabels": TIME_LABELS,
        "axisMissing": {name: _missing(drawn, name) for name in AXIS_NAMES},
        "follow": most_telling(drawn),
        "panels": paint_web(four_panels(drawn, axis), clocks),
        "runs": [_run(history, clocks) for history in drawn],
        "clocks": clocks.encoded,
    }


def _run(history: History, clocks: Clocks) -> dict[str, Any]:
    phases = history.diagnosis.phases
    return {
        "label": history.label,
        "phases": "".join(phases["phase"]),
        "phaseStarts": encode_steps(phases["start"].to_numpy(float)),
        "threshold": history.threshold,
        "period": _period(history, clocks),
    }


def _period(history: History, clocks: Clocks) -> dict[str, Any]:
    figure, period = one_period(history), typical_period(history)
    if figure is None or period is None:
        why = "has no complete period, so there is nothing to enlarge"
        return {"text": f"{history.label} {why}: {history.diagnosis.headline}.", "panels": []}
    length, share = period.end - period.phase_a, [end - start for _, start, end in period.phases]
    parts = ", ".join(
        f"{steps:,.0f} in phase {letter}" for letter, steps in zip("ABC", share, strict=True)
    )
    text = f"{history.label}, a period of typical length: {length:,.0f} steps, {parts}; "
    text += "a dotted line joins the two peaks in the phase diagram."
    return {"text": text, "panels": paint_web(figure, clocks)}


def _missing(drawn: Sequence[History], axis: TimeAxis) -> str:
    """Why a time axis is not on offer; empty where it is."""
    try:
        for history in drawn:
            check_axis(history, axis)
    except UserError as refusal:
        return str(refusal).split("; choose")[0]
    return ""


def _title(drawn: Sequence[History]) -> str:
    if len(drawn) == 1:
        return f"Training run {drawn[0].source.name}"
    return f"{len(drawn)} training runs"


def _lead(drawn: Sequence[History]) -> str:
    periodic = sum(history.diagnosis.label == "periodic" for history in drawn)
    if periodic == 0:
        return "No periodic behaviour was found here. What was looked for is explained below."
    who = "This run is"
    if len(drawn) > 1:
        who = f"{periodic} of {len(drawn)} runs {'is' if periodic == 1 else 'are'}"
    return f"{who} periodic: training destabilises, recovers, and does so again, all by itself."


def script_safe(content: Any) -> str:
    """JSON that cannot end its script element, whatever the names in it."""
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def asset(name: str) -> str:
    """The text of a file of the page."""
    return (resources.files("limitcycle.report") / "assets" / name).read_text(encoding="utf-8")


def packed_plotly() -> str:
    """plotly.js, compressed to a quarter, as base64 for its script element."""
    with from_extra("report", "the HTML report needs plotly"):
        from plotly.offline import get_plotlyjs
    packed = gzip.compress(get_plotlyjs().encode(), mtime=0)
    return base64.b64encode(packed).decode("ascii")
