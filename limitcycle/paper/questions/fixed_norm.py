"""What Figures 4 and 11 share: training on a sphere, from the start or from before a jump.

Where the norm is held it cannot tell of destabilisations; the loss alone has to.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from limitcycle.paper.claim import Claim, Finding, holds_if, undecided
from limitcycle.paper.evidence import Evidence, MissingError
from limitcycle.paper.experiment import Runs
from limitcycle.paper.questions.reading import late_loss, listed, share, unbroken
from limitcycle.paper.scale import Scale
from limitcycle.reading.clock import Array, Clock, TimeAxis
from limitcycle.reading.history import History
from limitcycle.reading.turns import turning_points
from limitcycle.record import Run
from limitcycle.report.figure import Figure
from limitcycle.report.panels import panels_of

FREE = "free norm"
EARLY, LATE = "fixed at 0.75 of way", "fixed at 0.90 of way"
FRACTIONS = {EARLY: 0.75, LATE: 0.90}  # epochs 150 and 180 of a run that jumps at epoch 200
RISE = math.log(6.0)  # of log loss, that counts as a destabilisation of a run without a norm
CONVERGED = 0.1  # of the loss of the first steps, below which a run has converged
FIRST_STEPS = 3


@dataclass(frozen=True)
class Spheres:
    """The runs of one figure.

    Attributes:
        parent: scale → the run with a free norm; it keeps snapshots.
        factors: on the initialisation, largest first, of the runs held at their initial norm.
        steps: scale → budget of every run with a fixed norm.
    """

    parent: Callable[[Scale], Run]
    factors: Callable[[Scale], tuple[float, ...]]
    steps: Callable[[Scale], int]

    def runs(self, scale: Scale) -> Runs:
        """The parent, and the norm fixed at initialisation at several scales."""
        parent = self.parent(scale)
        plain = replace(parent, steps=self.steps(scale), snapshot_every=None, fixed_norm="start")
        held = {label(c): replace(plain, init_scale=c) for c in self.factors(scale)}
        return {FREE: parent, **held}

    def later(self, scale: Scale, parents: Mapping[str, History]) -> Runs:
        """The norm fixed before the parent's first destabilisation; none without one."""
        parent = parents[FREE]
        events = parent.diagnosis.events
        if len(events) == 0:
            return {}
        jump = float(events["start"].iloc[0])
        described = replace(
            self.parent(scale), steps=self.steps(scale), snapshot_every=None, fixed_norm="start"
        )
        return {
            name: replace(described, start_from=str(snapshot_before(parent, fraction * jump)))
            for name, fraction in FRACTIONS.items()
        }


def label(factor: float) -> str:
    """A factor on the initial norm ρ₀ as a label."""
    return f"fixed: {factor:g} × ρ₀" if factor >= 1 else f"fixed: ρ₀/{1 / factor:g}"


def snapshot_before(history: History, step: float) -> Path:
    """The last snapshot that covers no more than ``step`` updates, or the first one.

    Raises:
        MissingError: the run kept none.
    """
    paths: list[Path] = history.source.snapshots  # type: ignore[attr-defined]
    if not paths:
        raise MissingError(f"the run {history.label!r} kept no snapshots")
    before = [path for path in paths if updates(path) <= step]
    return before[-1] if before else paths[0]


def updates(snapshot: str | Path) -> int:
    """How many updates a snapshot covers, by its name."""
    return int(Path(snapshot).stem.removeprefix("step-")) + 1


def loss_rises(history: History) -> int:
    """How often the loss, a mean over an epoch, rose sixfold: destabilisations without the norm.

    A rise that has not come back counts.
    """
    loss = history.means["loss"]
    log = np.log(np.maximum(loss[np.isfinite(loss)], 1e-30))
    if len(log) < 2:
        return 0
    rows = turning_points(log, RISE)
    return int((np.diff(log[rows]) > 0).sum())


def converged(history: History) -> bool:
    """Whether the late loss is below a tenth of the loss at the start."""
    return bool(late_loss(history) < CONVERGED * np.median(history.columns["loss"][:FIRST_STEPS]))


def draw(evidence: Evidence, factors: Sequence[float], axis: TimeAxis) -> list[Figure]:
    """Two pairs of panels: loss and test error with the norm fixed at start, and before a jump."""
    left = [evidence.first(label(factor)) for factor in factors]
    parent = evidence.first(FREE)
    right = [parent, *(_continued(evidence, name, parent) for name in FRACTIONS)]
    figure = panels_of([*left, *right], ("loss", "test_error"), axis)
    panels = [
        replace(
            panel,
            title=f"{panel.title}: {words}",
            marks=tuple(mark for mark in panel.marks if getattr(mark, "run", None) in runs),
        )
        for words, runs in (
            ("fixed from start", range(len(left))),
            ("fixed later", range(len(left), len(left) + len(right))),
        )
        for panel in figure.panels
    ]
    return [replace(figure, panels=tuple(panels), columns=4)]


def _continued(evidence: Evidence, name: str, parent: History) -> History:
    """The run called ``name`` with its clock set on from where the parent was left."""
    history = evidence.first(name)
    start = history.source.run.start_from
    if start is None:
        return history
    done = updates(start)
    return replace(
        history,
        clock=_later(history.clock, done, parent),
        test_clock=_later(history.test_clock, done, parent),
    )


def _later(clock: Clock, steps: int, parent: History) -> Clock:
    def shifted(values: Array | None, by: Array | None) -> Array | None:
        if values is None or by is None:
            return None
        return values + float(np.interp(steps, parent.clock.steps, by))

    return Clock(
        clock.steps + steps,
        shifted(clock.epochs, parent.clock.epochs),
        shifted(clock.periods, parent.clock.periods),
    )


def none_from_start(factors: Callable[[Scale], Sequence[float]]) -> Callable[[Evidence], Finding]:
    """No run whose norm is held at its initial value has a destabilisation."""

    def check(evidence: Evidence) -> Finding:
        held = {c: evidence[label(c)] for c in factors(evidence.scale)}
        counts = {
            c: [loss_rises(history) for history in histories] for c, histories in held.items()
        }
        if not any(map(any, counts.values())):  # else it is refuted, however others ended
            unbroken([history for histories in held.values() for history in histories])
        return holds_if(
            not any(map(any, counts.values())),
            "sixfold rises of the loss: "
            + "; ".join(f"{listed(found, 'd')} at {c:g} ×" for c, found in counts.items())
            + f"; with a free norm: {listed(map(loss_rises, evidence[FREE]), 'd')}",
            likely=_edge(evidence[FREE]),
            counts={f"{c:g}": found for c, found in counts.items()},
        )

    return check


def low_converge(factors: Callable[[Scale], Sequence[float]]) -> Callable[[Evidence], Finding]:
    """Low effective learning rates converge and high ones stay high, with one border between."""

    def check(evidence: Evidence) -> Finding:
        outcomes, words = [], []
        for factor in factors(evidence.scale):  # largest norm, lowest effective learning rate first
            histories = unbroken(evidence[label(factor)])
            outcomes.append(share(map(converged, histories)) > 0.5)
            rate = float(np.nanmedian(histories[0].columns["effective_lr"]))
            loss = float(np.median([late_loss(history) for history in histories]))
            words.append(f"{loss:.2g} at η/ρ² = {rate:.2g}")
        split = outcomes == sorted(outcomes, reverse=True)
        return holds_if(
            split and outcomes[0] and not outcomes[-1],
            f"late train loss {', '.join(words)}",
            converged=outcomes,
        )

    return check


def rises_after(name: str, expected: int) -> Callable[[Evidence], Finding]:
    """Most seeds of the run that continues the parent show ``expected`` destabilisations."""

    def check(evidence: Evidence) -> Finding:
        if FREE in evidence and all(
            len(history.diagnosis.events) == 0 for history in evidence[FREE]
        ):
            return undecided("the parent has no destabilisation to fix the norm before")
        counts = [loss_rises(history) for history in unbroken(evidence[name])]
        free = [loss_rises(history) for history in evidence[FREE]]
        many = sum(counts) > expected * len(counts)
        return holds_if(
            share(count == expected for count in counts) > 0.5,
            f"sixfold rises of the loss: {listed(counts, 'd')}; with a free norm: "
            f"{listed(free, 'd')}",
            likely=_edge(evidence[FREE]) if many else _RECOVERS,
            counts=counts,
        )

    return check


def _edge(histories: Sequence[History]) -> str:
    """Why the loss may rise though the norm cannot fall."""
    steps = "at a fixed norm steps stay as large as they are"
    if all(history.source.run.batch_size is None for history in histories):
        return f"{steps}; beyond the edge of stability the loss of full-batch descent wanders"
    return (
        f"{steps}, near the edge of stability, and batch noise alone can throw the loss off its "
        "low level; an epoch of few steps does not average that away"
    )


_RECOVERS = "at this distance from the jump training was not yet unstable"


def claims(spheres: Spheres, key: str, source: str) -> tuple[Claim, ...]:
    """The four claims of the ablation; ``key`` ends their names."""
    return (
        Claim(
            f"fixed-norm-start{key}",
            "With the norm fixed at initialisation there are no periods, whatever that norm is.",
            source,
            "a sixfold rise of the loss (mean over an epoch) in any run, any seed",
            none_from_start(spheres.factors),
        ),
        Claim(
            f"fixed-norm-effective-lr{key}",
            "Fixed low effective learning rates converge; fixed high ones stay at high loss.",
            source,
            "in the order of their effective learning rates the runs are not first below and then "
            "above a tenth of the initial loss, in the median of their last half (most seeds)",
            low_converge(spheres.factors),
        ),
        Claim(
            f"fixed-norm-early{key}",
            "Fixed early before a jump (at 0.75 of the way) the loss never destabilises.",
            source,
            "a sixfold rise of the loss in half of the seeds or more",
            rises_after(EARLY, 0),
        ),
        Claim(
            f"fixed-norm-late{key}",
            "Fixed late before a jump (at 0.90 of the way) the loss rises once and never again.",
            source,
            "no rise, or more than one sixfold rise, in half of the seeds or more",
            rises_after(LATE, 1),
        ),
    )
