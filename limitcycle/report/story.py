"""What happens in a run, told in one sentence: what moves, what that does, what comes of it.

The parts of the sentence are numbered, and the panels that show them bear the same numbers.
"""

from typing import NamedTuple, assert_never

import numpy as np

from limitcycle.reading.clock import Array
from limitcycle.reading.digits import two_digits
from limitcycle.reading.history import History

GROWN = 1.5
"""A factor of the effective learning rate worth telling."""


class Part(NamedTuple):
    """A part of the sentence, and the panel in which it can be seen; empty: in none."""

    panel: str
    text: str


def story(history: History) -> list[Part]:
    """The sentence about ``history``, part by part."""
    found = history.diagnosis
    if found.unjudged:
        return [Part("", f"Nothing can be told from the norm: {found.unjudged}")]
    match found.label:
        case "periodic":
            return _turns(history)
        case "equilibrium":
            return [
                Part("norm", "The norm rests: weight decay and gradient balance"),
                Part("effective_lr", "so the effective learning rate stands still"),
                *_jumps(history),
            ]
        case "stuck":
            return [
                Part("effective_lr", "The effective learning rate is too high to converge"),
                Part("loss", "so the loss never comes down"),
            ]
        case "converging":
            return _drift(history)
        case "diverged":
            return [Part("loss", f"Training broke down: {found.failure}")]
        case "unknown":
            return [Part("", f"Too early to tell: {found.reason}")]
        case _:
            assert_never(found.label)


def _turns(history: History) -> list[Part]:
    """The story of the oscillator."""
    grown = growth(history)
    by_so_much = ""
    if grown > GROWN:
        by_so_much = f" up to {two_digits(grown)}-fold"
    return [
        Part("norm", "Weight decay shrinks the norm"),
        Part("effective_lr", f"the effective learning rate grows{by_so_much}, unseen in the loss"),
        *_jumps(history),
    ]


def _jumps(history: History) -> list[Part]:
    found = history.diagnosis
    count = len(found.events)
    if count == 0:
        return []
    if count == 1:
        return [Part("loss", f"training jumped once, at step {found.events['start'].iloc[0]:,}")]
    every = f", about every {found.period:,.0f} steps" if found.label == "periodic" else ""
    return [Part("loss", f"training jumps: {count:,} times here{every}")]


def _drift(history: History) -> list[Part]:
    rest = history.diagnosis.rest
    if rest is not None and rest.drift < 0:
        parts = [
            Part("norm", "Weight decay shrinks the norm"),
            Part("effective_lr", "the effective learning rate grows by itself"),
        ]
    else:
        parts = [
            Part("norm", "The norm grows"),
            Part("effective_lr", "the effective learning rate falls by itself"),
        ]
    return parts + (_jumps(history) or [Part("loss", "training has not jumped")])


def growth(history: History) -> float:
    """The largest factor by which the effective learning rate grew up to a jump; 1 if none.

    It counts from the lowest value since the jump before, or since the beginning.
    """
    rates = history.columns["effective_lr"]
    events = history.diagnosis.events
    peaks, starts = (history.rows_of(events[name].to_numpy(float)) for name in ("peak", "start"))
    first = np.append(0, peaks[:-1])
    return max((_growth(rates[a : b + 1]) for a, b in zip(first, starts, strict=False)), default=1)


def _growth(rates: Array) -> float:
    """From the lowest value to the last one; 1 where that is not known."""
    known = rates[np.isfinite(rates) & (rates > 0)]
    return float(known[-1] / known.min()) if len(known) else 1.0
