"""What a run leaves: rows collected on the host between checkpoints, and running means.

Running means are carried strictly in the order of the steps, so that where a block ends, or a run
is interrupted, changes no bit of them.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from limitcycle.lab.setup import Setup
from limitcycle.measure import step_columns
from limitcycle.record import EPOCH_COLUMNS, STEP_COLUMNS

Array = NDArray[np.float64]

_RUNNING = ("loss", "effective_grad_norm", "error")


class Recorder:
    """Collects a run's rows; hands them over at each checkpoint.

    Args:
        setup: the run.
        every: thin the step table to every n-th step.
        carried: running sums from a checkpoint (see `carry`), or None.

    Attributes:
        latest: loss, ρ and η/ρ² of the last step taken; NaN before the first.
    """

    def __init__(self, setup: Setup, every: int, carried: Array | None) -> None:
        self._setup = setup
        self._every = every
        self._blocks: list[Mapping[str, Array]] = []
        self._first = 0
        self._epochs: list[dict[str, float]] = []
        self._sums = np.zeros(len(_RUNNING) + 1) if carried is None else carried.copy()
        self.latest = (np.nan, np.nan, np.nan)

    def add_steps(self, first: int, rows: Mapping[str, Array]) -> None:
        """Take a block of steps first, first + 1, …: the engine's rows and ``lr``, each (T,)."""
        if not self._blocks:
            self._first = first
        self._blocks.append(rows)
        size = self._setup.batch_sizes(first + np.arange(len(rows["loss"])))
        gradient = np.sqrt(rows["norm²"] * rows["grad_norm²"])
        values = np.stack([rows["loss"], gradient, rows["wrong"] / size])
        self._sums = _add_in_order(self._sums, values)
        norm2 = float(rows["norm²"][-1])
        self.latest = (float(rows["loss"][-1]), norm2**0.5, float(rows["lr"][-1]) / norm2)

    def add_epoch(
        self, step: int, lr: float, norm: float, test: Array, train: Array | None
    ) -> None:
        """Take an evaluation after ``step`` updates.

        Args:
            step: updates completed.
            lr: learning rate of the next update.
            norm: ρ now.
            test: loss and error on the test set.
            train: loss, error, confidence, effective gradient norm of the additional pass; None
                stands for the means over the steps since the last evaluation.
        """
        count = self._sums[-1]
        if train is None:
            loss, gradient, error = self._sums[:-1] / count if count else [np.nan] * len(_RUNNING)
            train = np.array([loss, error, np.nan, gradient])
        self._sums[:] = 0
        values = [step / self._setup.epoch_steps, step, *train[:2], *test, train[2], norm]
        row = dict(zip(EPOCH_COLUMNS, [*values, lr / norm**2, train[3]], strict=True))
        self._epochs.append(row)

    def carry(self) -> Array:
        """The running sums, to be kept in the checkpoint."""
        return self._sums.copy()

    def take(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Hand over the step rows and the epoch rows since the last call."""
        steps = self._step_table()
        epochs = pd.DataFrame(self._epochs)
        self._blocks, self._epochs = [], []
        return steps, epochs

    def _step_table(self) -> pd.DataFrame:
        if not self._blocks:
            return pd.DataFrame()
        rows = {name: np.concatenate([b[name] for b in self._blocks]) for name in self._blocks[0]}
        step = self._first + np.arange(len(rows["loss"]))
        decay = np.full(len(step), self._setup.weight_decay)
        table = {"step": step, "epoch": step // self._setup.epoch_steps, "loss": rows["loss"]}
        columns = step_columns(rows, rows["lr"], decay)
        columns["momentum"] = np.full(len(step), self._setup.momentum)
        frame = pd.DataFrame({**table, **columns}, columns=[*STEP_COLUMNS, "momentum"])
        kept: pd.DataFrame = frame.loc[step % self._every == 0]
        return kept


def _add_in_order(sums: Array, values: Array) -> Array:
    """``sums`` plus each column of ``values`` (K, T), one after the other, and T to the count."""
    totals = np.cumsum(np.concatenate([sums[:-1, None], values], axis=1), axis=1)[:, -1]
    return np.append(totals, sums[-1] + values.shape[1])
