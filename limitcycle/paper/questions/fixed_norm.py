"""What Figures 4 and 11 share: training on a sphere, from the start or from before a jump.

Where the norm is held it cannot tell of destabilisations; the loss alone has to.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from limitcycle.paper.claim import Claim, Finding, holds_if, undecided
from limitcycle.paper.evidence import Evidence, MissingError
from limitcycle.paper.experiment import Runs
from limitcycle.paper.questions.pictures import with_other_seeds
from limitcycle.paper.questions.reading import (
    first_destabilisation,
    late_loss,
    share,
    spikes,
    unbroken,
)
from limitcycle.paper.scale import Scale
from limitcycle.reading.clock import Array, Clock, TimeAxis
from limitcycle.reading.history import History
from limitcycle.record import Run
from limitcycle.report.figure import RUN_COLOURS, Axis, Figure, Key, Panel, Points
from limitcycle.report.panels import EFFECTIVE_LR, LOSS

FREE = "free norm"
EARLY, LATE = "fixed at 0.75 of way", "fixed at 0.90 of way"
LATER, LATEST = "fixed at 0.95 of way", "fixed at 0.98 of way"
# Epochs 150 and 180 of a run that jumps at epoch 200; the others are ours.
FRACTIONS = {EARLY: 0.75, LATE: 0.90, LATER: 0.95, LATEST: 0.98}
BELOW = 0.5  # of η/ρ² at the free norm's jumps
REPEATED = 2  # destabilisations make periods; one alone does not
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
        jump = first_destabilisation(parent)
        if not np.isfinite(jump):
            return {}
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


def converged(history: History) -> bool:
    """Whether the late loss is below a tenth of the loss at the start."""
    return bool(late_loss(history) < CONVERGED * np.median(history.columns["loss"][:FIRST_STEPS]))


def draw(evidence: Evidence, factors: Sequence[float], axis: TimeAxis) -> list[Figure]:
    """Two pairs of panels: loss and test error with the norm fixed at start, and before a jump."""
    left = [evidence[label(factor)] for factor in factors]
    right = [evidence[FREE], *(_continued(evidence, name) for name in (EARLY, LATE))]
    figure = with_other_seeds([*left, *right], ("loss", "test_error"), axis)
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


def _continued(evidence: Evidence, name: str) -> list[History]:
    """The runs called ``name``, one a seed, each on the clock of its parent."""
    parents = {parent.source.run.seed: parent for parent in evidence[FREE]}
    return [set_on(each, parents[each.source.run.seed]) for each in evidence[name]]


def set_on(history: History, parent: History) -> History:
    """``history`` with its clock set on from where the parent was left."""
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
    """No run whose norm is held at its initial value has two destabilisations or more."""

    def check(evidence: Evidence) -> Finding:
        held = {c: evidence[label(c)] for c in factors(evidence.scale)}
        counts = {c: max(map(spikes, histories)) for c, histories in held.items()}
        none = max(counts.values()) < REPEATED
        if none:  # else it is refuted, however others ended
            unbroken([history for histories in held.values() for history in histories])
        names = {f"spikes at {c:g} × ρ₀": float(count) for c, count in counts.items()}
        free = float(max(map(spikes, evidence[FREE])))
        return holds_if(
            none,
            "",
            ours={**names, "with a free norm": free},
            likely=_edge(evidence[FREE]),
            counts={f"{c:g}": count for c, count in counts.items()},
        )

    return check


def low_converge(factors: Callable[[Scale], Sequence[float]]) -> Callable[[Evidence], Finding]:
    """Low effective learning rates converge and high ones stay high, with one border between."""

    def check(evidence: Evidence) -> Finding:
        outcomes: list[bool] = []
        ours: dict[str, float] = {}
        for factor in factors(evidence.scale):  # largest norm, lowest effective learning rate first
            histories = unbroken(evidence[label(factor)])
            outcomes.append(share(map(converged, histories)) > 0.5)
            rate = float(np.nanmedian(histories[0].columns["effective_lr"]))
            loss = float(np.median([late_loss(history) for history in histories]))
            ours[f"late train loss at η/ρ² = {rate:.1g}"] = loss
        split = outcomes == sorted(outcomes, reverse=True)
        return holds_if(
            split and outcomes[0] and not outcomes[-1],
            "",
            ours=ours,
            converged=outcomes,
        )

    return check


def rises_after(name: str, expected: int) -> Callable[[Evidence], Finding]:
    """The run that continues the parent has ``expected`` destabilisations."""

    def check(evidence: Evidence) -> Finding:
        free = evidence[FREE]
        if not any(map(spikes, free)):
            return undecided("the parent has no destabilisation to fix the norm before")
        histories = unbroken(evidence[name])
        count = max(map(spikes, histories))
        return holds_if(
            count == expected,
            "",
            ours={"spikes": float(count), "with a free norm": float(max(map(spikes, free)))},
            likely=_edge(free) if count > expected else _RECOVERS,
            count=count,
        )

    return check


def calm_below(factors: Callable[[Scale], Sequence[float]]) -> Callable[[Evidence], Finding]:
    """At fixed effective learning rates below half of those at its jumps the loss is calm."""

    def check(evidence: Evidence) -> Finding:
        at_jumps = [rate for free in evidence[FREE] for rate in rates_at_jumps(free)]
        if not at_jumps:
            return undecided("a free norm has no destabilisation to compare with")
        limit = BELOW * float(np.median(at_jumps))
        held = [t for name in held_labels(evidence, factors) for t in evidence[name]]
        low = [spikes(t) for t in held if rate_of(t) < limit]
        restless = [rate_of(t) for t in held if spikes(t) > 0]
        if not low:
            return undecided(f"no run is held at an effective learning rate below {limit:.2g}")
        ours = {
            "η/ρ² at the free norm's jumps": float(np.median(at_jumps)),
            "runs below half of it": float(len(low)),
            "spikes there": float(sum(low)),
        }
        if restless:
            ours["lowest η/ρ² with a spike"] = min(restless)
        return holds_if(not any(low), "", ours=ours)

    return check


def held_labels(evidence: Evidence, factors: Callable[[Scale], Sequence[float]]) -> list[str]:
    """The labels of all runs with a fixed norm that were made."""
    names = [*map(label, factors(evidence.scale)), *FRACTIONS]
    return [name for name in names if name in evidence]


def rate_of(history: History) -> float:
    """η/ρ² of a run whose norm is held."""
    return float(np.nanmedian(history.columns["effective_lr"]))


def rates_at_jumps(history: History) -> list[float]:
    """η/ρ² at the last step before each destabilisation of a free norm."""
    rows = history.rows_of(history.diagnosis.spikes["start"].to_numpy(dtype=float))
    return [float(each) for each in history.columns["effective_lr"][rows]]


def calm_line(evidence: Evidence, factors: Callable[[Scale], Sequence[float]]) -> Figure:
    """Spikes of every run with a fixed norm over its η/ρ², and η/ρ² at the free norm's jumps."""
    held = [t for name in held_labels(evidence, factors) for t in evidence[name]]
    x = np.array([rate_of(history) for history in held])
    y = np.array([float(spikes(history)) for history in held])
    level = np.array([late_loss(history) for history in held])
    jumps = np.array([rate for free in evidence[FREE] for rate in rates_at_jumps(free)])
    first, second = RUN_COLOURS[:2]
    counted = (
        Points(jumps, np.full(len(jumps), -0.4), second, "free norm, before a jump", size=4.0),
        Points(x, y, first, "fixed norm, one run"),
    )
    losses = (Points(x, level, first, "fixed norm, one run"),)
    most = int(max(y.max(initial=0.0), 2.0))
    ticks = tuple((float(each), f"{each}") for each in range(0, most + 1, -(-most // 6)))
    count = Axis("spikes of the loss", limits=(-0.8, most + 0.5), ticks=ticks)
    loss = replace(LOSS, label="late loss, nats")
    panels = (
        Panel("spikes", "Spikes at a fixed norm", count, counted, EFFECTIVE_LR),
        Panel("late_loss", "Level of the loss", loss, losses, EFFECTIVE_LR),
    )
    keys = (Key("fixed norm, one run", first), Key("free norm, before a jump", second))
    return Figure(panels, "steps", keys, "Where a sphere is calm: all seeds", columns=2)


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
    """The claims of the ablation; ``key`` ends their names."""
    late = {
        "late": (LATE, "0.90", source),
        "later": (LATER, "0.95", f"beyond the paper, which shows 0.90 ({source})"),
        "latest": (LATEST, "0.98", f"beyond the paper, which shows 0.90 ({source})"),
    }
    return (
        Claim(
            f"fixed-norm-start{key}",
            "With the norm fixed at initialisation there are no periods, whatever that norm is.",
            source,
            "two spikes of the loss or more in one of the runs; one alone repeats nothing, and a "
            "loss that never came low has no level to rise from",
            none_from_start(spheres.factors),
        ),
        Claim(
            f"fixed-norm-effective-lr{key}",
            "Fixed low effective learning rates converge; fixed high ones stay at high loss.",
            source,
            "in the order of their effective learning rates the runs are not first below and then "
            "above a tenth of the initial loss, in the median of their last half",
            low_converge(spheres.factors),
        ),
        Claim(
            f"fixed-norm-early{key}",
            "Fixed early before a jump (at 0.75 of the way) the loss never destabilises.",
            source,
            "a spike of the loss",
            rises_after(EARLY, 0),
        ),
        Claim(
            f"fixed-norm-calm{key}",
            "At fixed effective learning rates well below those at which a free norm is thrown off "
            "the loss stays calm.",
            f"beyond the paper ({source})",
            "a spike of the loss in a run whose η/ρ² is below half of the median one at which the "
            "free norm's destabilisations start",
            calm_below(spheres.factors),
        ),
        *(
            Claim(
                f"fixed-norm-{name}{key}",
                f"Fixed late before a jump (at {way} of the way) the loss rises once and never "
                "again.",
                where,
                "no spike of the loss, or more than one",
                rises_after(run, 1),
            )
            for name, (run, way, where) in late.items()
        ),
    )
