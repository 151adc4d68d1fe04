"""Records of whole periods that obey Eqs. (3) and (8), and ways to make them disobey."""

import numpy as np
import pandas as pd

from limitcycle.theory import cosine_distance, squared_norms
from tests.paper.records import Made, made

CLIMB = 6  # steps from the low level to the peak


def oscillating(
    period=600,
    periods=6,
    *,
    peak=19.0,
    noise=0.0,
    lag=0,
    climb=CLIMB,
    train_error=0.0,
    peak_error=0.4,
    every=10,
    lr=0.1,
    weight_decay=0.01,
    seed=0,
    **settings,
) -> Made:
    """g̃ falls like 1/t behind each peak and climbs within ``climb`` steps to the next one.

    ``noise``: standard deviation of log g̃; ``lag``: steps by which the loss follows the gradient;
    ``every``: steps between evaluations.
    """
    age = np.arange(period - climb)
    fall = peak / (1 + age / 3)
    rise = np.geomspace(fall[-1], peak, climb + 1)[1:]
    smooth = np.tile(np.concatenate([fall, rise]), periods)
    scatter = np.random.default_rng(seed).standard_normal(len(smooth))
    gradient = smooth * np.exp(noise * scatter - noise**2)
    norm = np.sqrt(squared_norms(3.0, gradient, lr, weight_decay))[:-1]
    frame = pd.DataFrame(
        {
            "step": np.arange(len(norm)),
            "loss": np.roll(0.05 * smooth, lag),
            "norm": norm,
            "effective_grad_norm": gradient,
            "cosine_distance": cosine_distance(norm, gradient, lr, weight_decay),
            "grad_norm": gradient / norm,
            "radial": np.zeros(len(norm)),
        }
    )
    record = made(frame, lr=lr, weight_decay=weight_decay, **settings)
    at = np.arange(0, len(norm), every)
    record.epochs = pd.DataFrame(
        {"epoch": at / 11, "step": at, "test_error": 0.1, "train_error": train_error}
    )
    # Around the peaks it is high: in the evaluations whose steps hold one.
    top = np.arange(0, len(norm), period)
    around = np.searchsorted(at, np.concatenate([top, top - 1]), side="right")
    record.epochs.loc[around[around < len(at)], "train_error"] = max(train_error, peak_error)
    return record


def reshaped(record: Made, power: float, period: int = 600) -> Made:
    """``record`` with g̃ ∝ (age + 3)^power between its jumps, and the distances of Eq. (8)."""
    run, old = record.run, record.steps
    age = np.arange(len(old)) % period
    fall = 19.0 * ((age + 3) / 3) ** power
    gradient = np.where(age < period - CLIMB, fall, old["effective_grad_norm"])
    distance = cosine_distance(old["norm"].to_numpy(), gradient, run.lr, run.weight_decay)
    return changed(record, effective_grad_norm=gradient, cosine_distance=distance)


def changed(record: Made, **columns) -> Made:
    """``record`` with columns of its step table replaced by functions of that table."""
    record.steps = record.steps.assign(**columns)
    return record


def bumpy(record: Made, *rows: int) -> Made:
    """``record`` with a hundredfold rise of the loss at each of these rows."""
    loss = record.steps["loss"].to_numpy().copy()
    after = np.arange(len(loss))
    for row in rows:
        loss = loss * np.where(after >= row, 1 + 100 * np.exp((row - after) / 30), 1.0)
    return changed(record, loss=loss)
