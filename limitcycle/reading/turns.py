"""Where a series turns: its extrema, down to a given size of swing."""

import numpy as np
from numpy.typing import NDArray

from limitcycle.reading.clock import Array, Rows


def turning_points(values: Array, swing: float) -> Rows:
    """Rows of the alternating minima and maxima whose swings all reach ``swing``.

    Smaller swings are taken out from the smallest upwards, together with the two extrema that
    bound them; what is left are the extrema of persistence at least ``swing``. Each round removes
    all locally smallest swings at once, so a few dozen rounds serve any length.

    Args:
        values: shape (rows,), finite.
        swing: the smallest difference between neighbouring extrema that counts, > 0.

    Returns:
        Rows in ascending order, first and last extremum included; fewer than two if there is no
        such swing at all.
    """
    rows = _extrema(values)
    while len(rows) > 1:
        size = np.abs(np.diff(values[rows]))
        left = np.concatenate([[np.inf], size[:-1]])
        right = np.concatenate([size[1:], [np.inf]])
        smallest = (size < swing) & (size <= left) & (size < right)
        if not smallest.any():
            break
        rows = rows[_without(smallest)]
    return rows


def noise(values: Array, order: int) -> float:
    """Standard deviation of the row-to-row noise: from the median of ``order``-th differences.

    The median does not see rare jumps; the second difference does not see a steady decay either.
    """
    if len(values) <= order:
        return 0.0
    variance = {1: 2.0, 2: 6.0}[order]
    return float(1.4826 * np.median(np.abs(np.diff(values, order))) / np.sqrt(variance))


def _extrema(values: Array) -> Rows:
    """First and last row and every row at which the series changes direction."""
    direction = np.sign(np.diff(values))
    moving = np.flatnonzero(direction)
    turned = direction[moving[1:]] != direction[moving[:-1]]
    rows: Rows = moving[1:][turned].astype(np.int64)
    if not len(rows) or rows[0] != 0:
        rows = np.concatenate([[0], rows])
    if rows[-1] < len(values) - 1:
        rows = np.concatenate([rows, [len(values) - 1]])
    return rows


def _without(swings: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which extrema stay when ``swings`` go: both ends of a swing, but one at the border."""
    keep = np.ones(len(swings) + 1, dtype=bool)
    keep[:-1][swings] = False
    keep[1:][swings] = False
    if swings[0] and len(swings) > 1:
        keep[1] = True
    if swings[-1] and len(swings) > 1:
        keep[-2] = True
    return keep
