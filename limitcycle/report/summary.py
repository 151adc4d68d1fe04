"""A run in one line of numbers: what the table of the page and the table of the terminal show."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limitcycle.reading.data import Recorded
from limitcycle.reading.history import History
from limitcycle.report.legend import histories


@dataclass(frozen=True)
class Summary:
    """What became of one run.

    Attributes:
        name: the run's folder.
        label: what tells it from the others.
        lr: learning rate; NaN where it changes or is unknown.
        destabilisations: how many were found.
        period: median distance of their starts in steps; NaN where there are fewer than two.
        effective_lr: smallest and largest value after warm-up; NaN if unknown.
        final_error: the last measured test error, as a fraction; NaN where none was measured.
        verdict: in words.
    """

    name: str
    label: str
    lr: float
    destabilisations: int
    period: float
    effective_lr: tuple[float, float]
    final_error: float
    verdict: str


def summarise(runs: Sequence[Recorded]) -> list[Summary]:
    """One summary a run, in the order given.

    Raises:
        UserError: there is no run.
    """
    return [summary_of(history) for history in histories(runs)]


def summary_of(history: History) -> Summary:
    """The summary of one run."""
    measured = history.test_error[np.isfinite(history.test_error)]
    return Summary(
        name=history.source.name,
        label=history.label,
        lr=history.lr,
        destabilisations=len(history.diagnosis.events),
        period=float(history.diagnosis.period),
        effective_lr=history.diagnosis.effective_lr,
        final_error=float(measured[-1]) if len(measured) else np.nan,
        verdict=history.diagnosis.headline,
    )
