"""How alike the minima are that one run visits: in weight space, and as ensembles of two.

Everything is read from weight snapshots. An anchor is chosen among those of the consistent stage;
every snapshot is compared with it and, for reference, with a snapshot of an independent network.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limitcycle.lab.setup import Setup, from_arrays, prepare
from limitcycle.paper.evidence import MissingError
from limitcycle.reading.clock import Array
from limitcycle.reading.history import History, history_of
from limitcycle.record import LoadedRun, load
from limitcycle.record.checkpoints import read_checkpoint

_IMAGES = 1_000  # at once through the net


@dataclass(frozen=True)
class Similarity:
    """The snapshots of a run beside its anchor and beside an independent network.

    Attributes:
        steps: updates made at each snapshot, shape (m,).
        period: period in which it lies, counted from the anchor's (0), shape (m,).
        quiet: whether it lies in phase B, where the minima are, shape (m,).
        anchor: index of the anchor.
        error: test error of each snapshot alone, fractions, shape (m,).
        cosine, ensemble: with the anchor: cosine of the scale-invariant weights, and test error of
            the mean of both softmax outputs, shape (m,).
        other_error: test error of the independent network's snapshot.
        other_cosine, other_ensemble: the same with that snapshot, shape (m,).
        images: in the test set.
    """

    steps: Array
    period: NDArray[np.int64]
    quiet: NDArray[np.bool_]
    anchor: int
    error: Array
    cosine: Array
    ensemble: Array
    other_error: float
    other_cosine: Array
    other_ensemble: Array
    images: int

    def minima(self, period: int) -> NDArray[np.int64]:
        """Indices of the snapshots in phase B of a period, without the anchor."""
        inside = np.flatnonzero((self.period == period) & self.quiet)
        others: NDArray[np.int64] = inside[inside != self.anchor]
        return others

    def later(self) -> list[int]:
        """The periods after the anchor's that have a snapshot in phase B, in order."""
        found = np.unique(self.period[(self.period > 0) & self.quiet])
        return [int(period) for period in found]


class Outputs(NamedTuple):
    """A snapshot seen from outside: SI weights (n,), softmax outputs (N, classes), test error."""

    weights: Tensor
    softmax: Tensor
    error: float


def similarity(history: History, independent: History) -> Similarity:
    """The run of ``history`` compared with itself and with ``independent``; worked out once.

    Raises:
        MissingError: no snapshots, or no destabilisations to choose an anchor by.
    """
    return _similarity(history.source.path, independent.source.path)  # type: ignore[attr-defined]


def anchor_of(history: History, steps: Array) -> int:
    """Index of the anchor among snapshots at ``steps`` (m,).

    Of the snapshots in phase B of the consistent stage's first period that has any: the one with
    the lowest training loss (mean over an epoch). Where warm-up's end is not known, later half.

    Raises:
        MissingError: there is no such snapshot.
    """
    starts = history.diagnosis.events["start"].to_numpy(dtype=float)
    begin = history.diagnosis.consistent_from
    period, quiet = np.searchsorted(starts, steps), in_phase_b(history, steps)
    first = len(starts) // 2 if begin is None else np.searchsorted(starts, begin)
    usable = np.flatnonzero(quiet & (period > first) & (period < len(starts)))
    if not len(usable):
        raise MissingError("no snapshot lies in a whole period of the consistent stage")
    nearest = usable[period[usable] == period[usable].min()]
    loss = history.means["loss"][history.rows_of(steps[nearest])]
    return int(nearest[np.argmin(loss)])


def in_phase_b(history: History, steps: Array) -> NDArray[np.bool_]:
    """Whether each of ``steps`` (m,) lies in a phase B."""
    phases = history.diagnosis.phases
    inside = np.zeros(len(steps), dtype=bool)
    for start, end in phases.loc[phases["phase"] == "B", ["start", "end"]].to_numpy(dtype=float):
        inside |= (steps >= start) & (steps <= end)
    return inside


@cache
def _similarity(path: Path, independent: Path) -> Similarity:
    run, other_run = load(path), load(independent)
    history = history_of(run, "")
    steps = np.array([read_checkpoint(file).completed for file in run.snapshots], dtype=float)
    at = anchor_of(history, steps)
    setup = prepare(run.description, _device(run))
    anchor = outputs(setup, run.snapshots[at])
    other = _matched(setup, other_run, anchor.error)
    rows = [
        (each.error, *_compare(setup, each, anchor), *_compare(setup, each, other))
        for each in _each(setup, run)
    ]
    error, cosine, ensemble, other_cosine, other_ensemble = np.array(rows).T
    starts = history.diagnosis.events["start"].to_numpy(dtype=float)
    period = np.searchsorted(starts, steps)
    return Similarity(
        steps=steps,
        period=period - period[at],
        quiet=in_phase_b(history, steps),
        anchor=at,
        error=error,
        cosine=cosine,
        ensemble=ensemble,
        other_error=other.error,
        other_cosine=other_cosine,
        other_ensemble=other_ensemble,
        images=len(setup.data.test_labels),
    )


def outputs(setup: Setup, snapshot: Path) -> Outputs:
    """What a snapshot answers on the test set, with running statistics."""
    arrays = read_checkpoint(snapshot).arrays
    state = from_arrays(setup.net, arrays, setup.state, source=str(snapshot))
    with torch.no_grad():
        parts = [
            setup.net.logits(state, images, train=False)[0].softmax(1)
            for images in torch.split(setup.data.test_images, _IMAGES)
        ]
    softmax = torch.cat(parts)
    return Outputs(state["weights"][: setup.net.leading], softmax, _error(setup, softmax))


def _each(setup: Setup, run: LoadedRun) -> Iterator[Outputs]:
    """The run's snapshots, one after the other: all at once may not fit into memory."""
    return (outputs(setup, snapshot) for snapshot in run.snapshots)


def _matched(setup: Setup, run: LoadedRun, error: float) -> Outputs:
    """The run's snapshot whose test error is nearest to ``error``; of several the last."""
    if not run.snapshots:
        raise MissingError("the independent network has no snapshots")
    best: Outputs | None = None
    for each in _each(setup, run):
        if best is None or abs(each.error - error) <= abs(best.error - error):
            best = each
    assert best is not None
    return best


def _compare(setup: Setup, one: Outputs, other: Outputs) -> tuple[float, float]:
    """Cosine of the weights, and test error of the ensemble of two."""
    weights = (one.weights.double(), other.weights.double())
    cosine = torch.dot(*weights) / (weights[0].norm() * weights[1].norm())
    return float(cosine), _error(setup, (one.softmax + other.softmax) / 2)


def _error(setup: Setup, softmax: Tensor) -> float:
    return float((softmax.argmax(1) != setup.data.test_labels).double().mean())


def _device(run: LoadedRun) -> torch.device:
    """Where the run was trained, if that is here."""
    wanted = str(run.info.get("device", "cpu"))
    there = wanted.startswith("cuda") and torch.cuda.is_available()
    return torch.device("cuda" if there else "cpu")
