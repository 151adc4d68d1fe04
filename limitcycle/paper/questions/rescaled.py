"""Equations (2a) and (2b) on real weights: gradients at weights that are scaled up and down.

Everything is done twice: with the normalisation's eps as it is, which breaks the scale invariance,
and with c²·eps, which does not: variances of what c times the weights make are c² times as large.
"""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from limitcycle.lab.functional import State, differentiate
from limitcycle.lab.setup import Setup, from_arrays, prepare
from limitcycle.reading.data import Recorded
from limitcycle.record import Run
from limitcycle.record.checkpoints import read_checkpoint

# c over a decade; the ones next to the middle are those that (2b) is asked at.
FACTORS = (10**-0.5, 0.5, 1.0, 2.0, 10**0.5)
ASKED = (0.5, 2.0)
SNAPSHOTS = 5
IMAGES = 128


class Scaled(NamedTuple):
    """What becomes of a gradient where the weights are multiplied by c.

    Attributes:
        norm: ρ of the weights as they are.
        factor: c.
        off, off_with_eps: ‖c·∇f(cx) − ∇f(x)‖/‖∇f(x)‖ with eps as it is, and with c²·eps.
        radial, radial_with_eps: |⟨x, ∇f(cx)⟩|/(‖x‖·‖∇f(cx)‖), likewise.
    """

    norm: float
    factor: float
    off: float
    off_with_eps: float
    radial: float
    radial_with_eps: float


def scaled_gradients(source: Recorded) -> list[Scaled]:
    """At a few of a run's snapshots, for every factor; empty where the run kept no snapshots.

    ∇ is with respect to the scale-invariant weights, f the loss of one batch in train mode.
    """
    paths: list[Path] = getattr(source, "snapshots", [])
    if not paths:
        return []
    few = [paths[at] for at in sorted(set(np.linspace(0, len(paths) - 1, SNAPSHOTS).astype(int)))]
    return list(_scaled(source.run, tuple(map(str, few))))


@lru_cache(maxsize=16)
def _scaled(run: Run, paths: tuple[str, ...]) -> tuple[Scaled, ...]:
    # In float64: late in a phase the gradient is small, and rounding would be all that deviates.
    precise = replace(run, dtype="float64")
    plain = prepare(precise, torch.device("cpu"))
    rescaled = {
        c: prepare(replace(precise, norm_eps=c**2 * run.norm_eps), torch.device("cpu"), plain.data)
        for c in FACTORS
    }
    found = []
    for path in paths:
        arrays = read_checkpoint(Path(path)).arrays
        state = from_arrays(plain.net, arrays, plain.state, source=path)
        x = state["weights"][: plain.net.leading]
        gradient = _gradient(plain, state, 1.0)
        for c in FACTORS:
            as_it_is, with_eps = _gradient(plain, state, c), _gradient(rescaled[c], state, c)
            found.append(
                Scaled(
                    float(x.norm()),
                    c,
                    *(_apart(c * each, gradient) for each in (as_it_is, with_eps)),
                    *(_cosine(x, each) for each in (as_it_is, with_eps)),
                )
            )
    return tuple(found)


def _apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm())


def _cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    return abs(float(torch.dot(one, other) / (one.norm() * other.norm())))


def _gradient(setup: Setup, state: State, factor: float) -> torch.Tensor:
    """The gradient with respect to the leading weights where these are multiplied by ``factor``."""
    net, data = setup.net, setup.data
    weights = state["weights"].clone()
    weights[: net.leading] *= factor
    images, labels = data.train_images[:IMAGES], data.train_labels[:IMAGES]
    derivative = differentiate(net, {**state, "weights": weights}, images, labels)
    return derivative.gradient[: net.leading]
