"""Which of many rows stay in memory, when not all of them can."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]
Steps = NDArray[np.int64]

# Of the rows that a table may hold: the newest, those around rises of the loss, and as many
# stretches of five rows. Together three quarters, so that rows are looked through again only when
# a quarter has come anew.
NEWEST = 1 / 8
AROUND_RISES = 1 / 2
STRETCHES = 1 / 40


def staying(keys: pd.DataFrame, protected: Steps, limit: int) -> NDArray[np.bool_]:
    """Which rows stay of more than ``limit``: three quarters of that, at most.

    The newest ones stay, and those around the latest rises of the loss. The time before is cut
    into equal stretches of steps; of each the first row stays, and those of the smallest and the
    largest loss and norm. So the turns of the norm and the peaks of the loss stay where they were,
    however often rows are thinned: the largest of several largest values is the largest of all.

    Args:
        keys: ``step``, ``loss`` and ``norm`` of the rows, oldest first.
        protected: steps of the rows around rises.
        limit: rows that there may be.
    """
    step = keys["step"].to_numpy()
    stays = np.isin(step, protected[-int(AROUND_RISES * limit) :])
    newest = len(step) - int(NEWEST * limit)
    stays[newest:] = True
    stretch = _stretches(step[:newest], max(int(STRETCHES * limit), 1))
    stays[:newest] |= np.diff(stretch, prepend=-1) > 0
    for name in ("loss", "norm"):
        values = pd.Series(keys[name].to_numpy()[:newest])
        stays[values.fillna(np.inf).groupby(stretch).idxmin().to_numpy()] = True
        stays[values.fillna(-np.inf).groupby(stretch).idxmax().to_numpy()] = True
    return stays


def _stretches(step: Steps, count: int) -> Steps:
    """The stretch of each row; their ends do not move as long as their length stays the same.

    The length is a power of two, so that later stretches are made of whole earlier ones.
    """
    if not len(step):
        return step
    needed = (int(step[-1]) + 1) / count
    length = 2 ** max(int(np.ceil(np.log2(needed))), 0)
    return np.asarray(step // length, dtype=np.int64)
