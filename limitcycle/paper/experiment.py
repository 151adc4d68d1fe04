"""A figure of the paper as data: its question, its runs, its claims, its drawing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from limitcycle.paper.claim import Claim
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.scale import Scale
from limitcycle.reading.history import History
from limitcycle.record import Run
from limitcycle.report.figure import Figure

Runs = dict[str, Run]

PANELS = ("loss", "test_error", "norm", "phase")  # the paper's four, of most of its figures


def _no_runs(_scale: Scale) -> Runs:
    return {}


def _nothing_later(_scale: Scale, _parents: Mapping[str, History]) -> Runs:
    return {}


@dataclass(frozen=True)
class Experiment:
    """One figure.

    Attributes:
        number: in the paper.
        title: what it shows.
        question: what it answers, in a sentence or two.
        draw: evidence → the rows of the picture, from top to bottom.
        runs: scale → label → run of seed 0; other seeds are made from it.
        later: runs that start from those of ``runs``, for one seed: (scale, label → history) →
            runs.
        claims: the paper's statements that it checks.
        choices: settings that the paper leaves open, each with the reason for ours.
        three_seeds: wherever time allows (laptop scale, too).
    """

    number: int
    title: str
    question: str
    draw: Callable[[Evidence], Sequence[Figure]]
    runs: Callable[[Scale], Runs] = _no_runs
    later: Callable[[Scale, Mapping[str, History]], Runs] = _nothing_later
    claims: tuple[Claim, ...] = ()
    choices: tuple[str, ...] = ()
    three_seeds: bool = False

    @property
    def has_later(self) -> bool:
        """Whether runs follow that start from others."""
        return self.later is not _nothing_later

    def seeds(self, scale: Scale) -> tuple[int, ...]:
        """The seeds of its runs at ``scale``."""
        return (0, 1, 2) if self.three_seeds and scale.name == "laptop" else scale.seeds
