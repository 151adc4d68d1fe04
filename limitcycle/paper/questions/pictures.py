"""Panels that show the spread over seeds: the first one in full, the others as thin lines."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from limitcycle.paper.evidence import Evidence
from limitcycle.reading.clock import TimeAxis
from limitcycle.reading.history import History
from limitcycle.report.figure import Figure, Line, Mark, Panel
from limitcycle.report.panels import panels_of

THIN, FAINT = 0.5, 0.35
_SMOOTH = 0.5  # opacity above which a line is no raw series but its mean
_ONE_SEED = ("phase",)  # panels in which several seeds would hide each other


def panels(
    evidence: Evidence,
    labels: Mapping[str, str],
    names: Sequence[str],
    axis: TimeAxis,
    title: str = "",
) -> Figure:
    """The panels called ``names`` of the runs at ``labels``, each named in words.

    Raises:
        UserError: runs are missing, or have no such time axis.
    """
    runs = [
        [replace(history, label=words) for history in evidence[label]]
        for label, words in labels.items()
    ]
    return with_other_seeds(runs, names, axis, title)


def with_other_seeds(
    runs: Sequence[Sequence[History]], names: Sequence[str], axis: TimeAxis, title: str = ""
) -> Figure:
    """The panels of the first history of each run; behind them the others' smooth lines."""
    figure = panels_of([histories[0] for histories in runs], names, axis, title)
    behind: dict[str, list[Mark]] = {name: [] for name in names}
    for seed in range(1, min(map(len, runs))):
        other = panels_of([histories[seed] for histories in runs], names, axis)
        for panel in other.panels:
            if panel.name not in _ONE_SEED:
                behind[panel.name] += thinned(panel)
    return replace(
        figure,
        panels=tuple(
            replace(panel, marks=(*behind[panel.name], *panel.marks)) for panel in figure.panels
        ),
    )


def thinned(panel: Panel) -> list[Mark]:
    """The smooth lines of a panel, thin and faint, without a name."""
    lines = [mark for mark in panel.marks if isinstance(mark, Line) and mark.opacity > _SMOOTH]
    return [replace(line, width=THIN, opacity=FAINT, label="", walk=False) for line in lines]
