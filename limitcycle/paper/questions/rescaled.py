"""Equation (2b) on real weights: gradients at weights that are scaled up and down."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from limitcycle.lab.data import Dataset
from limitcycle.lab.functional import FunctionalNet, State, differentiate
from limitcycle.lab.setup import from_arrays, prepare
from limitcycle.reading.data import Recorded
from limitcycle.record import Run
from limitcycle.record.checkpoints import read_checkpoint

FACTORS = (0.5, 2.0)
SNAPSHOTS = 5
IMAGES = 128


def gradient_deviation(source: Recorded) -> list[tuple[float, float]]:
    """ρ and ‖c·∇f(cx) − ∇f(x)‖/‖∇f(x)‖ at a few of a run's snapshots, for c = 1/2 and 2.

    ∇ is with respect to the scale-invariant weights, f the loss of one batch in train mode. Empty
    where the run kept no snapshots.
    """
    paths: list[Path] = getattr(source, "snapshots", [])
    if not paths:
        return []
    few = [paths[at] for at in sorted(set(np.linspace(0, len(paths) - 1, SNAPSHOTS).astype(int)))]
    return list(_deviations(source.run, tuple(map(str, few))))


@lru_cache(maxsize=16)
def _deviations(run: Run, paths: tuple[str, ...]) -> tuple[tuple[float, float], ...]:
    # In float64: late in a phase the gradient is small, and rounding would be all that deviates.
    setup = prepare(replace(run, dtype="float64"), torch.device("cpu"))
    found = []
    for path in paths:
        arrays = read_checkpoint(Path(path)).arrays
        state = from_arrays(setup.net, arrays, setup.state, source=path)
        plain = _gradient(setup.net, setup.data, state, 1.0)
        norm = float(state["weights"][: setup.net.leading].norm())
        for factor in FACTORS:
            scaled = factor * _gradient(setup.net, setup.data, state, factor)
            found.append((norm, float((scaled - plain).norm() / plain.norm())))
    return tuple(found)


def _gradient(net: FunctionalNet, data: Dataset, state: State, factor: float) -> torch.Tensor:
    """The gradient with respect to the leading weights where these are multiplied by ``factor``."""
    weights = state["weights"].clone()
    weights[: net.leading] *= factor
    images, labels = data.train_images[:IMAGES], data.train_labels[:IMAGES]
    derivative = differentiate(net, {**state, "weights": weights}, images, labels)
    return derivative.gradient[: net.leading]
