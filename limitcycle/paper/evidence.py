"""What an experiment's runs left: by label, one history a seed, opened when they are asked for.

A claim is judged seed by seed: `of_seed` is what one seed alone would have left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from limitcycle.errors import UserError
from limitcycle.paper.scale import Scale
from limitcycle.reading.data import Recorded
from limitcycle.reading.history import History, history_of


class MissingError(UserError):
    """A run that a claim or a picture needs has not been made."""


@dataclass(frozen=True)
class Evidence:
    """The records of an experiment at one scale.

    Attributes:
        scale: at which they were made.
        recorded: label → loaded runs, one a seed, in the order of the seeds.
        asked: the labels that were looked at: what a finding rests on.
        seeds: label → which seed each of its runs has, counted from 0; all of them if not there.
        only: the one seed that is looked at; None: all.
    """

    scale: Scale
    recorded: Mapping[str, Sequence[Recorded]]
    asked: set[str] = field(default_factory=set, repr=False, compare=False)
    seeds: Mapping[str, Sequence[int]] = field(default_factory=dict)
    only: int | None = None
    _opened: dict[str, tuple[History, ...]] = field(default_factory=dict, repr=False)

    def __contains__(self, label: str) -> bool:
        return bool(self.recorded.get(label))

    def __getitem__(self, label: str) -> tuple[History, ...]:
        """The histories of a label, one a seed; that of one seed where it is the only one.

        Raises:
            MissingError: its runs have not been made.
        """
        if label not in self:
            raise MissingError(f"the runs {label!r} have not been made")
        self.asked.add(label)
        if label not in self._opened:
            self._opened[label] = tuple(history_of(run, label) for run in self.recorded[label])
        found = self._opened[label]
        if self.only is None:
            return found
        if self.only not in self._seeds_of(label):
            raise MissingError(f"there is no run {label!r} of this seed")
        return (found[self._seeds_of(label).index(self.only)],)

    def _seeds_of(self, label: str) -> Sequence[int]:
        return self.seeds.get(label, range(len(self.recorded[label])))

    @property
    def count(self) -> int:
        """How many seeds there are."""
        return max((max(self._seeds_of(label)) + 1 for label in self.recorded), default=0)

    def of_seed(self, seed: int) -> "Evidence":
        """The same evidence of one seed; what is looked at there was looked at here, too."""
        return replace(self, only=seed)

    def first(self, label: str) -> History:
        """The history of the first seed: the one that is drawn."""
        return self[label][0]

    def all_of(self, labels: Sequence[str]) -> list[History]:
        """The histories of several labels, every seed."""
        return [history for label in labels for history in self[label]]

    def afresh(self) -> "Evidence":
        """The same evidence (histories are not opened again) that nobody has looked at yet."""
        return replace(self, asked=set())

    def remarks(self) -> list[str]:
        """What is to be known of the data behind the labels that were looked at."""
        runs = [run for label in sorted(self.asked) for run in self.recorded[label]]
        return sorted({str(run.info["remark"]) for run in runs if run.info.get("remark")})
