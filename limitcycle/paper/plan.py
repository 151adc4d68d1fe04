"""Which runs the figures need, which of them are there, and what the others will cost.

A run lies in ``runs/<identity>`` below the scale's folder, so figures that ask for the same run
share it. Runs that start from others (`Experiment.later`) are known once those are done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from limitcycle.errors import UserError
from limitcycle.paper.claim import said
from limitcycle.paper.evidence import Evidence, MissingError
from limitcycle.paper.experiment import Experiment
from limitcycle.paper.scale import Scale
from limitcycle.reading.history import History, history_of
from limitcycle.record import LoadedRun, Run, load


class Later(NamedTuple):
    """Runs that start from others.

    Attributes:
        runs: label → runs, one a seed.
        seeds: label → which of the seeds these have, counted from 0.
        skipped: for each seed that has none, why; in words.
    """

    runs: Mapping[str, tuple[Run, ...]]
    seeds: Mapping[str, tuple[int, ...]]
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """One figure at one scale, with its runs below ``out``.

    Attributes:
        figure: the figure.
        scale: at which it is made.
        out: the scale's folder.
        seeds: None takes the figure's own.
    """

    figure: Experiment
    scale: Scale
    out: Path
    seeds: tuple[int, ...] | None = None

    @cached_property
    def runs(self) -> Mapping[str, tuple[Run, ...]]:
        """Label → the runs that can be made at once, one a seed."""
        described = self.figure.runs(self.scale)
        return {
            label: tuple(replace(run, seed=run.seed + seed) for seed in self._seeds)
            for label, run in described.items()
        }

    def later(self) -> Later:
        """The runs that start from those, as far as these are done."""
        found: dict[str, list[Run]] = {}
        having: dict[str, list[int]] = {}
        skipped = []
        for at, seed in enumerate(self._seeds if self.figure.has_later else ()):
            runs, problem = self._following(at)
            for label, run in runs.items():
                found.setdefault(label, []).append(replace(run, seed=run.seed + seed))
                having.setdefault(label, []).append(at)
            if not runs:
                skipped.append(f"seed {seed}: no run starts from its others: {problem}")
        return Later(
            {label: tuple(runs) for label, runs in found.items()},
            {label: tuple(seeds) for label, seeds in having.items()},
            tuple(skipped),
        )

    def _following(self, at: int) -> tuple[Mapping[str, Run], str]:
        """The runs that start from those of one seed, or why there are none."""
        parents = _Parents({label: runs[at] for label, runs in self.runs.items()}, self)
        try:
            return self.figure.later(self.scale, parents), "none of them has a place for that"
        except UserError as problem:
            return {}, str(problem)
        except Warning:
            raise
        except Exception as problem:  # a parent nobody thought of must not cost the others
            return {}, said(problem)

    def folder(self, run: Run) -> Path:
        """Where a run lies."""
        return self.out / "runs" / run.identity

    def opened(self, run: Run) -> LoadedRun | None:
        """The run's record; None where it is not finished or cannot be opened."""
        folder = self.folder(run)
        try:
            loaded = load(folder)
        except UserError:
            return None
        return loaded if is_finished(loaded) else None

    def evidence(self) -> Evidence:
        """The records of all seeds of those labels of which every seed is finished."""
        recorded, later = {}, self.later()
        for label, runs in {**self.runs, **later.runs}.items():
            loaded = [found for run in runs if (found := self.opened(run)) is not None]
            if len(loaded) == len(runs):
                recorded[label] = loaded
        return Evidence(self.scale, recorded, seeds=later.seeds)

    @property
    def _seeds(self) -> tuple[int, ...]:
        return self.figure.seeds if self.seeds is None else self.seeds


class _Parents(Mapping[str, History]):
    """The histories of one seed's runs, opened when asked for."""

    def __init__(self, runs: Mapping[str, Run], plan: Plan) -> None:
        self._runs, self._plan = runs, plan

    def __getitem__(self, label: str) -> History:
        loaded = self._plan.opened(self._runs[label])
        if loaded is None:
            raise MissingError(f"the run {label!r} has not been made")
        return history_of(loaded, label)

    def __iter__(self):  # type: ignore[no-untyped-def]  # noqa: ANN204
        return iter(self._runs)

    def __len__(self) -> int:
        return len(self._runs)


def is_finished(loaded: LoadedRun) -> bool:
    """Whether a run has said all it can say: done, or ended by a loss that is not finite."""
    status = loaded.status
    return status.get("state") == "done" or bool(status.get("final"))


def missing(plans: Sequence[Plan], *, later: bool = False, by_figure: bool = False) -> list[Run]:
    """The runs that are not finished, each once, the longest first.

    Args:
        plans: the figures that want them.
        later: those that start from others, instead of those that stand alone.
        by_figure: the runs of the first figure before those of the next.
    """
    asked: dict[str, Run] = {}
    first_asked: dict[str, int] = {}
    for place, plan in enumerate(plans):
        for runs in (plan.later().runs if later else plan.runs).values():
            for run in runs:
                if run.identity not in asked and plan.opened(run) is None:
                    asked[run.identity] = run
                    first_asked[run.identity] = place
    longest_first = sorted(asked.values(), key=lambda run: -plans[0].scale.seconds(run))
    if by_figure:
        longest_first.sort(key=lambda run: first_asked[run.identity])
    return longest_first


def cost(scale: Scale, runs: Sequence[Run], workers: int) -> float:
    """Estimated wall-clock seconds for ``runs`` on so many workers."""
    seconds = [scale.seconds(run) for run in runs]
    return max([sum(seconds) / max(workers, 1), *seconds[:1]], default=0.0)
