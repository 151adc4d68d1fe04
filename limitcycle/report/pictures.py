"""Pictures for papers and talks: the four panels, and one period beside them."""

from collections.abc import Sequence
from pathlib import Path

from limitcycle.extras import from_extra
from limitcycle.reading.clock import TimeAxis
from limitcycle.reading.data import Recorded
from limitcycle.report.figure import Figure
from limitcycle.report.legend import histories
from limitcycle.report.panels import four_panels
from limitcycle.report.period import most_telling, one_period

HALF_PAGE = 3.3


def save_pictures(
    runs: Sequence[Recorded],
    out: str | Path,
    *,
    axis: TimeAxis = "steps",
    width: float = HALF_PAGE,
) -> list[Path]:
    """Draw the four panels into ``out`` and, where a run has one, a period into a file beside it.

    Args:
        runs: loaded runs, e.g. of `limitcycle.load_all`.
        out: the file; its suffix, .png or .svg, chooses the format. The period's name ends in
            ``-period``.
        axis: the time axis.
        width: in inches; 3.3 is half a page.

    Returns:
        The files written.

    Raises:
        UserError: no runs, another suffix, ``axis`` not defined for a run, ``out`` cannot be
            written, or matplotlib is not installed.
        RunError: the disk is full; an existing file is as it was.
    """
    path, drawn = Path(out), histories(runs)
    written = [_paint(four_panels(drawn, axis), path, width)]
    period = one_period(drawn[most_telling(drawn)], axis)
    if period is not None:
        beside = path.with_name(f"{path.stem}-period{path.suffix}")
        written.append(_paint(period, beside, width))
    return written


def _paint(figure: Figure, path: Path, width: float) -> Path:
    with from_extra("report", "pictures need matplotlib"):
        from limitcycle.report.paint import paint
    return paint(figure, path, width=width)
