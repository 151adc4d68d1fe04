"""`plot`: runs, tables and watches as matplotlib's figure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from limitcycle.errors import UserError
from limitcycle.extras import from_extra
from limitcycle.notebook.series import runs_of
from limitcycle.reading.clock import TimeAxis
from limitcycle.report.legend import histories
from limitcycle.report.panels import CURVES, panels_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PanelName = Literal[
    "loss", "effective_lr", "norm", "effective_grad_norm", "cosine_distance", "test_error", "phase"
]
STACKED: tuple[PanelName, ...] = ("loss", "effective_lr", "norm")
NAMES = (*CURVES, "test_error", "phase")


def plot(
    what: Any,
    *,
    panels: Sequence[PanelName] = STACKED,
    axis: TimeAxis = "steps",
    title: str = "",
    width: float = 6.4,
) -> "Figure":
    """Draw loss, effective learning rate and norm against time, or other panels.

    ::

        lc.plot("runs/mine").savefig("mine.png", dpi=200)
        lc.plot([before, after], panels=["loss", "phase"])

    Args:
        what: a loaded run, the folder of one or of many, a table with the columns ``step``,
            ``loss`` and ``norm``, a running watch, or a list of these.
        panels: ``loss``, ``effective_lr``, ``norm``, ``effective_grad_norm``,
            ``cosine_distance``, ``test_error``, ``phase``; three or fewer stand below each other.
        axis: ``steps``, ``epochs`` or ``periods`` of 1/(ηλ).
        title: above the legend.
        width: of the figure in inches.

    Returns:
        a `matplotlib.figure.Figure`, which a notebook shows.

    Raises:
        UserError: there is nothing to draw, a panel or an axis that there is not, or matplotlib is
            not installed (the extra ``report``).
    """
    if not panels:
        raise UserError("no panel is asked for: give at least one of " + ", ".join(NAMES))
    for name in panels:
        if name not in NAMES:
            raise UserError(f"there is no panel {name!r}: choose from {', '.join(NAMES)}")
    with from_extra("report", "plot needs matplotlib"):
        from limitcycle.notebook.canvas import canvas_of
    figure = panels_of(histories(runs_of(what)), panels, axis, title)
    return canvas_of(figure, width, columns=1 if len(panels) < 4 else 2)
