"""What an experiment's runs left: by label, one history a seed, opened when they are asked for."""

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
    """

    scale: Scale
    recorded: Mapping[str, Sequence[Recorded]]
    asked: set[str] = field(default_factory=set, repr=False, compare=False)
    _opened: dict[str, tuple[History, ...]] = field(default_factory=dict, repr=False)

    def __contains__(self, label: str) -> bool:
        return bool(self.recorded.get(label))

    def __getitem__(self, label: str) -> tuple[History, ...]:
        """The histories of a label, one a seed.

        Raises:
            MissingError: its runs have not been made.
        """
        if label not in self:
            raise MissingError(f"the runs {label!r} have not been made")
        self.asked.add(label)
        if label not in self._opened:
            self._opened[label] = tuple(history_of(run, label) for run in self.recorded[label])
        return self._opened[label]

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
