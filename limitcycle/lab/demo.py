"""The five runs of the demonstration: one mechanism at four learning rates, and without noise.

Handwritten digits, a scale-invariant MLP, weight decay 0.001. Budgets are such that all of it
trains within a minute on two cores.
"""

from pathlib import Path

from limitcycle.lab.parallel import Job
from limitcycle.record import Run

# Folder name → learning rate, batch size (None: full batch), steps.
_RUNS = {
    "full-batch lr 1": (1.0, None, 10_000),
    "lr 0.3": (0.3, 128, 20_000),
    "lr 1": (1.0, 128, 12_000),
    "lr 0.01": (0.01, 128, 10_000),
    "lr 100": (100.0, 128, 8_000),
}


def demo_jobs(out: Path, seed: int = 0) -> list[Job]:
    """The demonstration's runs, below ``out``, the longest first."""
    return [
        Job(Run(lr=lr, batch_size=batch_size, steps=steps, seed=seed), out / name)
        for name, (lr, batch_size, steps) in _RUNS.items()
    ]
