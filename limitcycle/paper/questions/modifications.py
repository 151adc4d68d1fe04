"""What Section 6 claims of each practical modification, asked of the runs of Figure 6."""

from collections.abc import Callable

import numpy as np

from limitcycle.paper.claim import Finding, holds_if, undecided
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.questions.fixed_norm import converged
from limitcycle.paper.questions.practical import (
    Check,
    confidence,
    first_jump,
    median,
    median_period,
)
from limitcycle.paper.questions.reading import jumps, late_loss, listed, periodic, share, unbroken
from limitcycle.paper.scale import Scale
from limitcycle.reading.history import History

BASE, ALL_TRAINED, WITH_MOMENTUM, WITH_AUGMENTATION = ONE_AT_A_TIME = (
    "scale-invariant, plain SGD",
    "all weights trained",
    "momentum 0.9",
    "augmentation",
)
TOO_SMALL = "augmentation, smaller net"
HIGH_PLAIN, HIGH_MOMENTUM = "high rate, plain SGD", "high rate, momentum 0.9"


def changed_frequency(evidence: Evidence) -> Finding:
    """Training all weights changes the median period by a fifth or more."""
    base, trained = (median_period(evidence[name]) for name in (BASE, ALL_TRAINED))
    if not base > 0 or not trained > 0:
        return undecided("one of the two has no periods")
    return holds_if(
        max(trained / base, base / trained) >= 1.2,
        f"median period {trained:,.0f} steps, {base:,.0f} without: × {trained / base:.2f}",
        periods=[base, trained],
    )


def shorter_with_momentum(evidence: Evidence) -> Finding:
    """The median period is shorter with momentum."""
    base, fast = (median_period(evidence[name]) for name in (BASE, WITH_MOMENTUM))
    if not base > 0:
        return undecided("there are no periods without momentum")
    return holds_if(
        fast < base,
        f"median period {fast:,.0f} steps with momentum, {base:,.0f} without",
        periods=[base, fast],
    )


def faster_phases(evidence: Evidence) -> Finding:
    """Phases A and B are both shorter with momentum."""
    durations = {
        letter: [_duration(evidence[name], letter) for name in (BASE, WITH_MOMENTUM)]
        for letter in "AB"
    }
    if any(not value > 0 for pair in durations.values() for value in pair):
        return undecided("a phase was not seen in one of the two")
    words = (f"{x}: {fast:,.0f} steps, {base:,.0f}" for x, (base, fast) in durations.items())
    return holds_if(
        all(fast < base for base, fast in durations.values()),
        f"median duration with momentum and without: {'; '.join(words)}",
        likely=_MEMORY if durations["A"][0] < 5 * _MEMORY_STEPS else "",
        durations=durations,
    )


_MEMORY_STEPS = 10  # 1/(1 − 0.9)
_MEMORY = f"phase A lasts hardly longer here than the memory of momentum 0.9, {_MEMORY_STEPS} steps"


def _duration(histories: tuple[History, ...], letter: str) -> float:
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
        f"first destabilisation at step {augmented:,.0f} with augmentation, {base:,.0f} without",
        first=[base, augmented],
    )


def less_confident(evidence: Evidence) -> Finding:
    """Confidence on the training set is lower with augmentation."""
    base, augmented = (
        median([confidence(history) for history in evidence[name]])
        for name in (BASE, WITH_AUGMENTATION)
    )
    if np.isnan([base, augmented]).any():
        return undecided("confidence was not measured")
    return holds_if(
        augmented < base,
        f"mean largest softmax {augmented:.3f} with augmentation, {base:.3f} without",
        confidence=[base, augmented],
    )


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
        constant = unbroken(evidence[constant_rate(evidence.scale)])
        scheduled = unbroken(evidence[name])
        late = [sum(map(_late_jumps, histories)) for histories in (constant, scheduled)]
        if late[0] == 0:
            return undecided("none in the last quarter at a constant learning rate either")
        begun = [history for history in scheduled if jumps(history) > 0]
        if not begun:
            return undecided("the schedule had no destabilisation to end")
        clean = share(_late_jumps(history) == 0 for history in begun)
        return holds_if(
            clean > 0.5,
            f"destabilisations in the last quarter, all seeds: {late[1]}, {late[0]} at a constant "
            f"learning rate; before: {sum(map(jumps, scheduled)) - late[1]}",
            late=late,
        )

    return check


def _late_jumps(history: History) -> int:
    return int((history.diagnosis.events["start"] > 0.75 * history.clock.steps[-1]).sum())


def _labels(histories: tuple[History, ...]) -> str:
    return ", ".join(history.diagnosis.label for history in histories)
