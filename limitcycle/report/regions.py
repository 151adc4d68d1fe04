"""Regions of a plane of words: which cells hang together, where they end, where a word has room."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.str_]
Mask = NDArray[np.bool_]
Array = NDArray[np.float64]


class Region(NamedTuple):
    """Cells of one word that hang together by their sides."""

    word: str
    inside: Mask


class Place(NamedTuple):
    """Where a word stands: the middle of its lines, and whether they run upwards."""

    x: float
    y: float
    text: str
    upright: bool


def regions(words: Words) -> list[Region]:
    """All regions of ``words`` (rows, columns), the largest first; empty words are none."""
    left = words != ""
    found = []
    while left.any():
        row, column = np.argwhere(left)[0]
        inside = _grown(words == words[row, column], int(row), int(column))
        found.append(Region(str(words[row, column]), inside))
        left &= ~inside
    return sorted(found, key=lambda region: -int(region.inside.sum()))


def _grown(same: Mask, row: int, column: int) -> Mask:
    """The cells of ``same`` that hang together with one of them."""
    inside = np.zeros_like(same)
    inside[row, column] = True
    while True:
        wider = same & (inside | _any_neighbour(inside))
        if (wider == inside).all():
            return inside
        inside = wider


def _any_neighbour(mask: Mask) -> Mask:
    found = np.zeros_like(mask)
    for moved in _neighbours(mask):
        found |= moved
    return found


def _neighbours(mask: Mask) -> Iterator[Mask]:
    """``mask`` moved by one to each side; what comes in over an edge is False."""
    framed = np.pad(mask, 1)
    for rows, columns in ((0, 1), (2, 1), (1, 0), (1, 2)):
        yield framed[rows : rows + mask.shape[0], columns : columns + mask.shape[1]]


def borders(words: Words) -> tuple[Array, Array]:
    """Where cells of different words meet: x and y of a line that NaNs break, in units of cells."""
    x: list[float] = []
    y: list[float] = []
    for row, column in np.argwhere(words[:, 1:] != words[:, :-1]):
        x += [column + 0.5, column + 0.5, np.nan]
        y += [row - 0.5, row + 0.5, np.nan]
    for row, column in np.argwhere(words[1:] != words[:-1]):
        x += [column - 0.5, column + 0.5, np.nan]
        y += [row + 0.5, row + 0.5, np.nan]
    return np.array(x), np.array(y)


def place(region: Region, letter: tuple[float, float]) -> Place | None:
    """Where the region's word has most room inside of it; None where it has none.

    Args:
        region: with its word.
        letter: width and height of a letter, in cells.
    """
    for text in _broken(region.word):
        lines = text.split("\n")
        size = (letter[0] * max(map(len, lines)), letter[1] * len(lines))
        for upright in (False, True):
            # An upright line takes from the height what a lying one takes from the width.
            aspect = letter[1] / letter[0]
            box = (size[1] / aspect, size[0] * aspect) if upright else size
            found = _room(region.inside, box)
            if found is not None:
                return Place(*found, text, upright)
    return None


def _broken(word: str) -> Sequence[str]:
    """``word`` in one line, and in two about as long."""
    gaps = [at for at, letter in enumerate(word) if letter == " "]
    if not gaps:
        return (word,)
    middle = min(gaps, key=lambda at: abs(2 * at - len(word)))
    return (word, word[:middle] + "\n" + word[middle + 1 :])


def _room(inside: Mask, box: tuple[float, float]) -> tuple[float, float] | None:
    """The middle of the ``box`` (width, height in cells) that lies deepest inside."""
    width, height = (max(1, int(np.ceil(side - 0.15))) for side in box)
    rows, columns = inside.shape
    if height > rows or width > columns:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(inside, (height, width))
    fits = windows.all(axis=(2, 3))
    if not fits.any():
        return None
    deep = deeper = np.asarray(fits)
    while deeper.any():
        deep, deeper = deeper, np.all([deeper, *_neighbours(deeper)], axis=0)
    spots = np.argwhere(deep)
    row, column = spots[np.argmin(((spots - spots.mean(axis=0)) ** 2).sum(axis=1))]
    return float(column + (width - 1) / 2), float(row + (height - 1) / 2)
