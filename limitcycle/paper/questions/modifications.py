"""What Section 6 claims of each practical modification, asked of the runs of Figure 6."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from limitcycle.paper.claim import Finding, above, below, holds_if, undecided
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.questions.fixed_norm import converged
from limitcycle.paper.questions.practical import (
    Check,
    confidence,
    first_jump,
    median,
    seed_periods,
)
from limitcycle.paper.questions.reading import jumps, late_loss, listed, periodic, share, unbroken
from limitcycle.paper.scale import Scale
from limitcycle.paper.spread import as_ratio, difference, log_ratio, spread
from limitcycle.reading.history import History

CHANGED = 1.2  # the factor by which a period has changed
ALIKE = 1.5  # the factor to which periods agree
SEVERAL = 2  # destabilisations whose absence says something
BASE, ALL_TRAINED, WITH_MOMENTUM, WITH_AUGMENTATION = ONE_AT_A_TIME = (
    "scale-invariant, plain SGD",
    "all weights trained",
    "momentum 0.9",
    "augmentation",
)
TOO_SMALL = "augmentation, smaller net"
SAME_RATE = "momentum 0.9, a tenth of the rate"
HIGH_PLAIN, HIGH_MOMENTUM = "high rate, plain SGD", "high rate, momentum 0.9"


def changed_frequency(evidence: Evidence) -> Finding:
    """Training all weights changes the period by a fifth or more."""
    base, trained = (seed_periods(evidence[name]) for name in (BASE, ALL_TRAINED))
    ratio = log_ratio(trained, base)
    if not ratio.known:
        return undecided("one of the two has fewer than two seeds with periods")
    words = f"{_steps(trained, base)}: {as_ratio(ratio)}"
    edge = math.log(CHANGED)
    if ratio.low > edge or ratio.high < -edge:
        return holds_if(True, words, periods=[base, trained])
    if -edge < ratio.low and ratio.high < edge:
        return holds_if(False, words, periods=[base, trained])
    return undecided(f"within the spread of the seeds: {words}", periods=[base, trained])


def _steps(changed: Sequence[float], base: Sequence[float]) -> str:
    """Periods of both in words."""
    return f"period {spread(changed, ',.0f')} steps, {spread(base, ',.0f')} without"


def shorter_with_momentum(evidence: Evidence) -> Finding:
    """The period is shorter with momentum."""
    base, fast = (seed_periods(evidence[name]) for name in (BASE, WITH_MOMENTUM))
    if len(base) < 2:
        return undecided("fewer than two seeds have periods without momentum")
    if not fast:
        slow = seed_periods(evidence[SAME_RATE]) if SAME_RATE in evidence else []
        cause = (
            f"momentum acts as a learning rate ten times as large, beyond the band: at a tenth of "
            f"the rate {len(slow)} seeds have periods with it"
        )
        return holds_if(False, "no periods with momentum", cause=cause if slow else "")
    ratio = log_ratio(fast, base)
    if not ratio.known:
        return undecided("fewer than two seeds have periods with momentum")
    return below(ratio, 0.0, f"{_steps(fast, base)}: {as_ratio(ratio)}", periods=[base, fast])


def same_as_plain(evidence: Evidence) -> Finding:
    """With momentum at η(1 − μ) the periods last as long as without at η."""
    base, slow = (seed_periods(evidence[name]) for name in (BASE, SAME_RATE))
    if len(base) < 2:
        return undecided("fewer than two seeds have periods without momentum")
    ratio = log_ratio(slow, base)
    words = f"{_steps(slow, base)} at ten times the rate"
    if not ratio.known:
        return holds_if(False, f"fewer than two seeds have periods with momentum: {words}")
    edge = math.log(ALIKE)
    text = f"{words}: {as_ratio(ratio)}"
    if -edge < ratio.low and ratio.high < edge:
        return holds_if(True, text)
    if ratio.low > edge or ratio.high < -edge:
        return holds_if(False, text)
    return undecided(f"within the spread of the seeds: {text}")


def faster_phases(evidence: Evidence) -> Finding:
    """Phases A and B are both shorter with momentum."""
    found, words = [], []
    for letter in "AB":
        base, fast = (
            [_duration([history], letter) for history in evidence[name]]
            for name in (BASE, WITH_MOMENTUM)
        )
        ratio = log_ratio(fast, base)
        if not ratio.known:
            return undecided("a phase was not seen in two seeds of one of the two")
        found.append(ratio)
        words.append(f"{letter}: {_steps(fast, base).removeprefix('period ')}, {as_ratio(ratio)}")
    text = "; ".join(words)
    if any(ratio.low > 0 for ratio in found):
        longer = "A" if found[0].low > 0 else "B"
        return holds_if(False, text, likely=_MEMORY if longer == "A" else "")
    if all(ratio.high < 0 for ratio in found):
        return holds_if(True, text)
    return undecided(f"within the spread of the seeds: {text}")


_MEMORY_STEPS = 10  # 1/(1 − 0.9)
_MEMORY = f"phase A lasts hardly longer here than the memory of momentum 0.9, {_MEMORY_STEPS} steps"


def _duration(histories: Sequence[History], letter: str) -> float:
    """The median duration in steps of a phase, those before the first destabilisation left out."""
    found = []
    for history in histories:
        phases = history.diagnosis.phases
        chosen = phases[(phases["phase"] == letter) & (phases["start"] >= first_jump(history))]
        found += list((chosen["end"] - chosen["start"]).astype(float))
    return median(found)


def momentum_fails(evidence: Evidence) -> Finding:
    """At a high rate at which plain SGD has periods, momentum is stuck in phase A."""
    plain_runs, fast = evidence[HIGH_PLAIN], evidence[HIGH_MOMENTUM]
    if share(map(periodic, plain_runs)) <= 0.5:
        return undecided("plain SGD has no periods at this rate either")
    unbroken(fast)
    return holds_if(
        share(history.diagnosis.label == "stuck" for history in fast) > 0.5,
        f"at η = {fast[0].lr:g}: {_labels(fast)} with momentum, {_labels(plain_runs)} without",
    )


def later_onset(evidence: Evidence) -> Finding:
    """The first destabilisation comes later with augmentation."""
    base, augmented = (
        median([first_jump(history) for history in evidence[name]])
        for name in (BASE, WITH_AUGMENTATION)
    )
    if augmented == float("inf") or base == float("inf"):
        which = "with" if augmented == float("inf") else "without"
        return undecided(f"no destabilisation {which} augmentation within the budget")
    return holds_if(
        augmented > base,
        "",
        ours={"first destabilisation at step": augmented, "without augmentation": base},
        first=[base, augmented],
    )


def less_confident(evidence: Evidence) -> Finding:
    """Confidence on the training set is lower with augmentation."""
    base, augmented = (
        [confidence(history) for history in evidence[name]] for name in (BASE, WITH_AUGMENTATION)
    )
    if np.isnan([*base, *augmented]).any():
        return undecided("confidence was not measured")
    words = f"mean largest softmax {spread(augmented, '.3f')} with augmentation, "
    return below(difference(augmented, base), 0.0, f"{words}{spread(base, '.3f')} without")


def larger_loss(evidence: Evidence) -> Finding:
    """The late training loss is larger with augmentation."""
    base, augmented = (
        [late_loss(history) for history in evidence[name]] for name in (BASE, WITH_AUGMENTATION)
    )
    ratio = log_ratio(augmented, base)
    if not ratio.known:
        return undecided("fewer than two seeds have a late loss")
    words = f"late train loss {spread(augmented)} with augmentation, {spread(base)} without"
    return above(ratio, 0.0, f"{words}: {as_ratio(ratio, '.3g')}")


def too_small(evidence: Evidence) -> Finding:
    """A smaller net that does not learn the augmented data has no destabilisations."""
    histories = tuple(unbroken(evidence[TOO_SMALL]))
    losses = f"late train loss {listed(map(late_loss, histories))}"
    if share(map(converged, histories)) >= 0.5:
        return undecided(f"the net is not too small, it learnt the augmented data: {losses}")
    count = [jumps(history) for history in histories]
    return holds_if(
        share(each == 0 for each in count) > 0.5,
        f"{_labels(histories)}; destabilisations: {listed(count, 'd')}; {losses}",
        jumps=count,
    )


def schedule_ends(name: str, constant_rate: Callable[[Scale], str]) -> Check:
    """The check that a schedule leaves no destabilisation in the last quarter of the run.

    Args:
        name: the label of its runs.
        constant_rate: scale → the label of those at a constant learning rate.
    """

    def check(evidence: Evidence) -> Finding:
        (constant,) = unbroken(evidence[constant_rate(evidence.scale)])
        (scheduled,) = unbroken(evidence[name])
        late = [_late_jumps(history) for history in (constant, scheduled)]
        if late[0] < SEVERAL:
            return undecided(
                f"{late[0]} in the last quarter at a constant learning rate: too few to tell"
            )
        if jumps(scheduled) == 0:
            return undecided("the schedule had no destabilisation to end")
        return holds_if(
            late[1] == 0,
            "",
            ours={
                "in the last quarter": float(late[1]),
                "at a constant learning rate": float(late[0]),
                "before": float(jumps(scheduled) - late[1]),
            },
            late=late,
        )

    return check


def _late_jumps(history: History) -> int:
    return int((history.diagnosis.events["start"] > 0.75 * history.clock.steps[-1]).sum())


def _labels(histories: Sequence[History]) -> str:
    return ", ".join(history.diagnosis.label for history in histories)
