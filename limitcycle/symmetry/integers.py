"""Null vectors as people read them: smallest integers, few of them, none negative if possible."""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Vector = tuple[float, ...]  # integers, but for a null space that has no rational basis

LARGEST_DENOMINATOR = 24


def row_reduced(basis: ArrayLike, error: float, *, in_order: bool = False) -> Array:
    """Reduced row echelon form of ``basis`` (rows), entries below ``error`` set to zero.

    Args:
        basis: shape (vectors, entries), of full rank.
        error: of its entries, in absolute terms.
        in_order: take the first columns as pivots instead of the numerically safest.
    """
    rows = np.array(basis, dtype=float)
    for pivot in range(len(rows)):
        sizes = np.abs(rows[pivot:])
        best = sizes.max(axis=0)
        column = int(np.argmax(best > error)) if in_order else int(np.argmax(best))
        chosen = pivot + int(np.argmax(sizes[:, column]))
        rows[[pivot, chosen]] = rows[[chosen, pivot]]
        rows[pivot] /= rows[pivot, column]
        others = np.arange(len(rows)) != pivot
        rows[others] -= np.outer(rows[others, column], rows[pivot])
    rows[np.abs(rows) < error] = 0
    return rows


def primitive(vector: ArrayLike, slack: float = 1e-6) -> Vector:
    """The smallest integer multiple of ``vector``, with positive sum (or first entry).

    A vector that is no multiple of small integers is scaled to smallest entry one.

    Args:
        vector: entries known to an absolute error of ``slack``.
        slack: that error.
    """
    entries = np.asarray(vector, dtype=float)
    entries = entries / (_sign(entries) * np.abs(entries[entries != 0]).min())
    rational = [Fraction(float(entry)).limit_denominator(LARGEST_DENOMINATOR) for entry in entries]
    errors = [abs(float(q) - entry) for q, entry in zip(rational, entries, strict=True)]
    if any(e > slack * max(1, abs(x)) for e, x in zip(errors, entries, strict=True)):
        return tuple(round(float(entry), 6) for entry in entries)
    common = math.lcm(*(q.denominator for q in rational))
    whole = [int(q * common) for q in rational]
    divisor = math.gcd(*whole)
    return tuple(number // divisor for number in whole)


def sparse(basis: Sequence[Vector]) -> list[Vector]:
    """A basis of the same space with fewer and smaller entries.

    A vector is replaced by its sum or difference with another as long as that makes it simpler.
    """
    vectors = np.array(basis, dtype=float)
    improved = True
    while improved:
        improved = False
        for i in range(len(vectors)):
            candidates = np.concatenate([vectors[i] - vectors, vectors[i] + vectors])
            cost = _complexity(candidates)
            cost[[i, i + len(vectors)]] = np.inf
            best = int(np.argmin(cost))
            if cost[best] < _complexity(vectors[i]):
                vectors[i], improved = candidates[best], True
    return [primitive(vector) for vector in vectors]


def smallest_positive(basis: Sequence[Vector]) -> Vector | None:
    """The null vector of least Euclidean norm with all entries ≥ 1, made integer; None if none is.

    With N an orthonormal basis (columns), the least squares problem min ‖[Nᵀ; 1ᵀ]y − (0, 1)‖ over
    y ≥ 0 decides: a zero residual is Stiemke's certificate that no positive vector exists;
    otherwise, by the conditions of optimality, the residual (r, s) gives N(−r)/s ≥ 1.
    """
    orthonormal = np.linalg.qr(np.asarray(basis, dtype=float).T)[0]
    system = np.vstack([orthonormal.T, np.ones(len(orthonormal))])
    target = np.append(np.zeros(orthonormal.shape[1]), 1.0)
    residual = target - system @ nonnegative_least_squares(system, target)
    if residual[-1] < 1e-9:
        return None
    return primitive(orthonormal @ (-residual[:-1] / residual[-1]))


def holds_nonnegative(basis: Sequence[Vector]) -> bool:
    """Whether the space holds a vector without negative entries, other than zero.

    By Stiemke's lemma it does unless its orthogonal complement holds one with positive entries.
    """
    generators = np.asarray(basis, dtype=float)
    complement = np.linalg.svd(generators)[2][len(generators) :]
    return not len(complement) or smallest_positive([tuple(row) for row in complement]) is None


def nonnegative_least_squares(system: Array, target: Array) -> Array:
    """Argument y ≥ 0 of min ‖system·y − target‖ (Lawson and Hanson's active set method)."""
    solution = np.zeros(system.shape[1])
    free = np.zeros(len(solution), dtype=bool)
    for _ in range(10 * len(solution)):
        slope = system.T @ (target - system @ solution)
        slope[free] = 0
        if slope.max() < 1e-12:
            break
        free[np.argmax(slope)] = True
        while True:
            trial = np.zeros_like(solution)
            trial[free] = np.linalg.lstsq(system[:, free], target, rcond=None)[0]
            blocking = free & (trial <= 1e-13)
            if not blocking.any():
                break
            steps = solution[blocking] / np.maximum(solution[blocking] - trial[blocking], 1e-300)
            solution = solution + steps.min() * (trial - solution)
            free &= solution > 1e-13
            solution[~free] = 0
        solution = trial
    return solution


def _complexity(vectors: Array) -> Array:
    """Number of entries that are not zero first, their sizes second."""
    sizes = np.abs(vectors)
    first: Array = np.sum(sizes > 1e-9, axis=-1) + 1 - 1 / (1 + sizes.sum(axis=-1))
    return first


def _sign(entries: Array) -> float:
    total = float(entries.sum())
    if abs(total) < 1e-6 * float(np.abs(entries).sum()):
        total = float(entries[np.flatnonzero(entries)[0]])
    return math.copysign(1.0, total)
