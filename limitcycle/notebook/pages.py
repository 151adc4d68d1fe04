"""`write_report` for what a notebook has in hand."""

from pathlib import Path
from typing import Any

from limitcycle.notebook.series import runs_of
from limitcycle.reading.clock import TimeAxis
from limitcycle.report import write_report as write_page


def write_report(
    what: Any,
    out: str | Path = "report.html",
    *,
    axis: TimeAxis = "steps",
    title: str | None = None,
) -> Path:
    """Write one self-contained, interactive page about runs, tables or a watch.

    Args:
        what: a loaded run, the folder of one or of many, a table with the columns ``step``,
            ``loss`` and ``norm``, a running watch, or a list of these.
        out: the HTML file; an existing one is replaced.
        axis: the time axis that the page opens with: ``steps``, ``epochs`` or ``periods``.
        title: the page's heading.

    Returns:
        ``out`` as a path.

    Raises:
        UserError: there is nothing to show, ``axis`` is not defined for a run, ``out`` cannot be
            written, or plotly is not installed (the extra ``report``).
        RunError: the disk is full; an existing file is as it was.
    """
    return write_page(runs_of(what), out, axis=axis, title=title)
