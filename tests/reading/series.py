"""Synthetic runs whose destabilisations are known.

A relaxation oscillator drawn by hand: the norm falls exponentially (weight decay alone), the loss
creeps downwards; then the loss climbs to its peak, throws the norm back and relaxes. Every length
is an argument, so that one recipe makes jumps that last three rows and jumps that last thousands.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Oscillator:
    """Lengths in rows; noises are standard deviations of the logarithm."""

    periods: int = 8
    period: int = 1000
    jitter: float = 0.2  # relative scatter of the periods
    climb: int = 3  # rows from start to peak
    relax: float = 15.0  # time constant of the loss behind the peak
    rise: float = 0.5  # of log ρ
    low: float = 1e-3
    high: float = 1.0
    loss_noise: float = 0.4
    norm_noise: float = 0.0
    bad_batches: int = 0  # single spikes of the loss as high as a jump, the norm left alone
    seed: int = 0

    def run(self) -> tuple[pd.DataFrame, np.ndarray]:
        """The table and the true starts."""
        rng = np.random.default_rng(self.seed)
        lengths = self.period * (1 + self.jitter * rng.uniform(-1, 1, self.periods + 1))
        pieces = [self._descent(round(lengths[0]), rng)]
        pieces += [self._jump(round(length), rng) for length in lengths[1:]]
        starts = np.cumsum([len(loss) for loss, _ in pieces])[:-1] - 1
        log_loss = np.concatenate([loss for loss, _ in pieces])
        steps = np.concatenate([step for _, step in pieces])
        log_norm = np.concatenate(
            [[0.0], np.cumsum(steps)[:-1]]
        )  # a row's update shows in the next
        log_loss = log_loss + self.loss_noise * rng.standard_normal(len(log_loss))
        log_norm = log_norm + self.norm_noise * rng.standard_normal(len(log_norm))
        spikes = rng.choice(len(log_loss), self.bad_batches, replace=False)
        log_loss[spikes] = np.log(self.high)
        frame = pd.DataFrame(
            {
                "step": np.arange(len(log_loss)),
                "loss": np.exp(log_loss).astype(np.float32),
                "norm": 5 * np.exp(log_norm),
            }
        )
        return frame, starts

    def _descent(self, rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The first descent: the loss falls from its initial value, the norm rises, then falls."""
        t = np.arange(rows)
        loss = np.logaddexp(np.log(2.3) - t / (4 * self.relax), np.log(self.low))
        step = np.where(t < self.relax, 0.3 / self.relax, -self.rise / rows)
        return loss, step

    def _jump(self, rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """One event and the calm behind it; its first row is the first above the low level."""
        rise = self.rise * (1 + self.jitter * rng.uniform(-1, 1))
        t = np.arange(rows)
        height = np.log(self.high / self.low)
        up = height * (t + 1) / self.climb
        down = np.logaddexp(height - (t - self.climb + 1) / self.relax, 0.0)
        loss = np.log(self.low) + np.where(t < self.climb, up, down)
        # The norm grows while the loss is high, most where it is highest.
        growth = np.exp(np.minimum(loss, np.log(self.high))) * (t < self.climb + 2 * self.relax)
        step = rise * growth / growth.sum() - self.rise / rows
        return loss, step


FAST = Oscillator(period=700)
SLOW = Oscillator(period=6000, climb=300, relax=150.0, rise=0.6, loss_noise=0.3)
CLEAN = Oscillator(period=2000, climb=4, relax=20.0, rise=2.0, high=5.0, loss_noise=0.0)
NOISY = Oscillator(period=1500, loss_noise=0.8, norm_noise=0.01, jitter=0.4)
OSCILLATORS = {"fast": FAST, "slow": SLOW, "clean": CLEAN, "noisy": NOISY}


def quiet(
    rows: int = 5000,
    loss: tuple[float, float] = (2.3, 1e-3),
    fall: float = 0.0,
    loss_noise: float = 0.4,
    wander: float = 0.0,
    seed: int = 0,
) -> pd.DataFrame:
    """A run without jumps: the loss goes from one level to another, the norm falls by ``fall``.

    ``wander`` is the size of a mean-reverting random walk of log ρ.
    """
    rng = np.random.default_rng(seed)
    t = np.arange(rows)
    log_loss = np.logaddexp(np.log(loss[0]) - 200 * t / rows, np.log(loss[1]))
    walk = np.zeros(rows)
    for i in range(1, rows):
        walk[i] = 0.95 * walk[i - 1] + np.sqrt(1 - 0.95**2) * rng.standard_normal()
    log_norm = -fall * t / rows + wander * walk
    return pd.DataFrame(
        {
            "step": t,
            "loss": np.exp(log_loss + loss_noise * rng.standard_normal(rows)),
            "norm": 8 * np.exp(log_norm),
        }
    )


FIGURE_2 = {
    # Learning rate: epochs of the destabilisations, minima of the train loss, range of the norm.
    0.03: (
        (65, 145, 182, 262, 325, 405, 487, 550, 585, 660, 712, 762, 858, 900, 965),
        (4e-3, 4e-4),
        (12.65, 3.0),
    ),
    0.01: ((200, 400, 552, 862), (2.7e-3, 1.5e-4), (12.8, 1.8)),
}


def figure_2(
    lr: float, seed: int = 0, steps_per_epoch: int = 391
) -> tuple[pd.DataFrame, np.ndarray]:
    """An epoch table in the likeness of the published Figure 2, and the epochs of its jumps.

    At 0.03 and 0.01 the norm falls by the published mean rate between jumps and is thrown back by
    them; at 1 the run is stuck at ρ ≈ 32, at 0.001 it converges from 12.8 to 9.
    """
    rng = np.random.default_rng(seed)
    epoch = np.arange(1001)
    noise = 0.15 * rng.standard_normal(len(epoch))
    jumps = np.array([], dtype=int)
    if lr == 1:
        log_loss = np.log(rng.uniform(0.3, 0.6, len(epoch)))
        log_norm = np.log(32) + 0.02 * rng.standard_normal(len(epoch))
        log_loss[0], log_norm[0] = np.log(2.6), np.log(12.65)
    elif lr == 0.001:
        log_loss = np.log(7e-3) + (1 - epoch / 1000) * np.log(2.3 / 7e-3) * np.exp(-epoch / 300)
        log_norm = np.interp(epoch, [0, 1000], np.log([12.8, 9.0]))
        log_loss = log_loss + noise
    else:
        epochs, minima, norms = FIGURE_2[lr]
        jumps = np.array(epochs)
        log_loss, log_norm = _figure_2_periods(epoch, jumps, minima, norms)
        log_loss = log_loss + noise
    frame = pd.DataFrame(
        {
            "epoch": epoch,
            "step": epoch * steps_per_epoch,
            "train_loss": np.exp(log_loss),
            "norm": np.exp(log_norm),
        }
    )
    return frame, jumps


def _figure_2_periods(
    epoch: np.ndarray, jumps: np.ndarray, minima: tuple[float, float], norms: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Between jumps the loss falls from 1 to its minimum; the norm's low points fall likewise."""
    edges = np.array([0, *jumps, len(epoch)])
    log_loss, log_norm = np.empty(len(epoch)), np.empty(len(epoch))
    bottoms = np.geomspace(norms[0] / 2, norms[1], len(edges) - 1)
    floors = np.geomspace(*minima, len(edges) - 1)
    top = norms[0]
    for first, last, floor, bottom in zip(edges, edges[1:], floors, bottoms, strict=False):
        t = (np.arange(first, last) - first) / (last - first)
        log_loss[first:last] = np.log(floor) * (1 - np.exp(-6 * t)) / (1 - np.exp(-6))
        log_norm[first:last] = np.log(top) + t * np.log(bottom / top)
        top = bottom * 1.7
    return log_loss, log_norm
