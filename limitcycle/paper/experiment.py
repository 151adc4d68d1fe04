"""A figure of the paper as data: its question, its runs, its claims, its drawing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from limitcycle.paper.claim import Claim
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.scale import Pair, Scale
from limitcycle.reading.history import History
from limitcycle.record import Run
from limitcycle.report.figure import Figure

Runs = dict[str, Run]

SEEDS = (0, 1, 2)  # of a figure that does not ask for more

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
        seeds: of its runs: three, or five where three do not decide.
        elsewhere: pairs whose digits twins another figure asks the same of.
    """

    number: int
    title: str
    question: str
    draw: Callable[[Evidence], Sequence[Figure]]
    runs: Callable[[Scale], Runs] = _no_runs
    later: Callable[[Scale, Mapping[str, History]], Runs] = _nothing_later
    claims: tuple[Claim, ...] = ()
    choices: tuple[str, ...] = ()
    seeds: tuple[int, ...] = SEEDS
    elsewhere: tuple[Pair, ...] = ()

    @property
    def has_later(self) -> bool:
        """Whether runs follow that start from others."""
        return self.later is not _nothing_later

    def asked(self, scale: Scale) -> tuple[Claim, ...]:
        """The claims that are asked at ``scale``.

        On digits these are none about CIFAR; and pairs that are the same there are asked once.
        """
        asked: list[Claim] = []
        seen = {
            claim.kind: [scale.worlds[pair] for pair in self.elsewhere] for claim in self.claims
        }
        for claim in self.claims:
            if claim.colour_images and scale.digits:
                continue
            if claim.pair is not None and scale.digits:
                world = scale.worlds[claim.pair]
                if world in seen[claim.kind]:
                    continue
                seen[claim.kind].append(world)
            asked.append(claim)
        return tuple(asked)
