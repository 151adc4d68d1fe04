"""The report: runs as one self-contained, interactive HTML file that works without a network.

All data is escaped on three roads: texts into HTML, JSON into its script element (no ``<`` is left
in it), names into plotly's labels (`limitcycle.report.web`).
"""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from limitcycle._version import __version__
from limitcycle.extras import from_extra
from limitcycle.reading.clock import TimeAxis
from limitcycle.reading.data import Recorded
from limitcycle.reading.history import History
from limitcycle.report.content import content
from limitcycle.report.details import details, summary_table
from limitcycle.report.legend import histories
from limitcycle.report.panels import check_axis
from limitcycle.report.writing import write_page

SCRIPTS = ("common.js", "stack.js", "loop.js", "depth.js", "walk.js", "report.js", "begin.js")
OFFLINE = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)


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
    return write_page(Path(out), page_of(histories(runs), axis, title))


def page_of(drawn: Sequence[History], axis: TimeAxis = "steps", title: str | None = None) -> str:
    """The report of ``drawn`` as HTML.

    Raises:
        UserError: ``axis`` not defined for a run, or plotly is not installed.
    """
    for history in drawn:
        check_axis(history, axis)
    explained = Template(asset("loop.html")).substitute(explanation=asset("explanation.html"))
    return compose(
        title=title or _title(drawn),
        scripts=SCRIPTS,
        policy=OFFLINE,
        table=summary_table(drawn),
        below=explained + _run_by_run(drawn),
        data=content(drawn, axis),
        promise="This file is complete in itself: it needs no network and sends nothing.",
    )


def compose(
    *,
    title: str,
    scripts: Sequence[str],
    policy: str,
    table: str,
    below: str,
    data: Mapping[str, Any],
    promise: str,
) -> str:
    """The page, put together.

    Args:
        title: plain text.
        scripts: the assets that are its script, in order.
        policy: what the browser lets it do (Content-Security-Policy).
        table, below: HTML of the table, and of what follows it.
        data: what the scripts draw.
        promise: a sentence for the foot of the page.
    """
    return Template(asset("page.html")).substitute(
        title=escape(title),
        policy=escape(policy),
        version=escape(__version__),
        style=asset("report.css"),
        script=script_of(scripts),
        plotly=packed_plotly(),
        table=table,
        below=below,
        promise=escape(promise),
        data=script_safe(data),
    )


def _run_by_run(drawn: Sequence[History]) -> str:
    inner = "\n".join(details(history) for history in drawn)
    return f'<section id="details"><h2>Run by run</h2>\n{inner}</section>'


def _title(drawn: Sequence[History]) -> str:
    if len(drawn) == 1:
        return f"Training run {drawn[0].source.name}"
    return f"{len(drawn)} training runs"


def script_of(names: Sequence[str]) -> str:
    """The assets ``names`` as one script with a scope of its own."""
    inner = "\n".join(asset(name) for name in names)
    return f'"use strict";\n(async () => {{\n{inner}\n}})();'


def script_safe(values: Any) -> str:
    """JSON that cannot end its script element, whatever the names in it."""
    text = json.dumps(values, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def asset(name: str) -> str:
    """The text of a file of the page."""
    return (resources.files("limitcycle.report") / "assets" / name).read_text(encoding="utf-8")


@cache
def packed_plotly() -> str:
    """plotly.js, compressed to a quarter, as base64 for its script element."""
    with from_extra("report", "the HTML report needs plotly"):
        from plotly.offline import get_plotlyjs
    packed = gzip.compress(get_plotlyjs().encode(), mtime=0)
    return base64.b64encode(packed).decode("ascii")
