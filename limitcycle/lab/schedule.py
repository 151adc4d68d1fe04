"""Learning rates over a run, as a pure function of the step."""

import numpy as np
from numpy.typing import NDArray

from limitcycle.record import Run


def learning_rates(run: Run, total: int, steps: NDArray[np.int64]) -> NDArray[np.float64]:
    """η_t for each step in ``steps`` of a run of ``total`` steps, float64, same shape.

    A linear rise over ``run.warmup_steps``, times the schedule over what follows it: constant,
    half a cosine to zero, a straight line to zero, or a tenth from half of it and a hundredth from
    three quarters of it.
    """
    warmup = run.warmup_steps
    rise = np.minimum(1.0, (steps + 1) / warmup) if warmup else 1.0
    progress = np.clip((steps - warmup) / max(1, total - warmup), 0.0, 1.0)
    if run.schedule == "cosine":
        factor = (1 + np.cos(np.pi * progress)) / 2
    elif run.schedule == "linear":
        factor = 1 - progress
    elif run.schedule == "step":
        factor = np.where(progress < 0.5, 1.0, np.where(progress < 0.75, 0.1, 0.01))
    else:
        factor = np.ones_like(progress)
    return run.lr * rise * factor
