"""From Euler products to symmetries: linear algebra on a small matrix, free of torch.

Row r of the matrix holds e_i = ⟨w_i, ∂f_r/∂w_i⟩ for tensor i under probe r. A vector k of exponents
is a scaling symmetry exactly when it is orthogonal to every row. The null space says everything;
its *connected components*, the finest split of the tensors for which it is the direct sum of its
parts, say it in pieces that do not depend on the order of the tensors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from limitcycle.symmetry.integers import Vector, primitive, row_reduced, sparse

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Limits:
    """Where rounding ends and dependence begins, for the precision that the rows were made in.

    Attributes:
        dead: sensitivity, relative to the most sensitive tensor, below which nothing depends on it.
        exact: singular value, in units of a matrix with entries of order one, of a symmetry.
        approximate: likewise, of a near symmetry (an eps out of reach).
        gap: factor by which what counts must exceed what does not.
    """

    dead: float
    exact: float
    approximate: float
    gap: float


DOUBLE = Limits(dead=1e-11, exact=1e-9, approximate=1e-3, gap=30)
SINGLE = Limits(dead=1e-6, exact=1e-5, approximate=1e-5, gap=300)  # strict: doubt is for `DOUBLE`


@dataclass(frozen=True)
class Component:
    """Tensors that scale together.

    Attributes:
        members: indices of the tensors.
        generators: basis of the component's null vectors; one exponent for each member.
        residual: the worst generator's ‖matrix · k‖/‖k‖, relative to the matrix' size, where both
            count in units of the tensors' sensitivity.
        dead: the function does not depend on the tensor.
    """

    members: tuple[int, ...]
    generators: tuple[Vector, ...]
    residual: float
    dead: bool = False


class EulerProducts:
    """The matrix of Euler products, scaled so that its entries are of order one.

    Args:
        products: ⟨w_i, g_ri⟩, shape (rows, tensors).
        sensitivity: ‖w_i‖‖g_ri‖/√d_i, the typical size of the product with a random direction in
            place of w_i; the same shape.
        limits: of the precision.

    Attributes:
        live, lone, coupled: indices of the tensors that the function depends on; of those among
            them that are a symmetry each by itself; and of the others.
    """

    def __init__(self, products: Array, sensitivity: Array, limits: Limits = DOUBLE) -> None:
        self.limits = limits
        size = np.linalg.norm(sensitivity, axis=1, keepdims=True)
        size[size == 0] = 1
        self.scale = np.sqrt(np.mean((sensitivity / size) ** 2, axis=0))
        self.scale /= self.scale.max(initial=0.0) or 1.0
        self.live = np.flatnonzero(self.scale > limits.dead)
        self.matrix = products[:, self.live] / size / self.scale[self.live]
        rows = len(self.matrix)
        # Entries of order one are the unit: where every tensor is invariant all values are noise.
        zero = np.linalg.norm(self.matrix, axis=0) < limits.exact * rows**0.5
        self.lone, self.coupled = self.live[zero], self.live[~zero]
        _, values, self._directions = np.linalg.svd(self.matrix[:, ~zero])
        self.unit: float = max(float(values.max(initial=0.0)), rows**0.5)
        self.singular_values = np.zeros(len(self.coupled))
        self.singular_values[: len(values)] = values / self.unit

    @property
    def rank(self) -> int:
        """Tensors less symmetries: singular values above the gap.

        Below `Limits.exact` all are rounding. Those between it and `Limits.approximate` are near
        symmetries if a clean gap sets them apart from the rest, and dependence if not.
        """
        cuts = (self.limits.exact, self.limits.approximate)
        exact, loose = (int(np.sum(self.singular_values > cut)) for cut in cuts)
        return loose if self._apart(self.singular_values, loose, 0.0) else exact

    @property
    def clear(self) -> bool:
        """Whether a gap sets symmetries apart from dependence, and dead tensors from live ones."""
        decreasing = np.sort(self.scale)[::-1]
        return self._apart(self.singular_values, self.rank, self.limits.exact) and self._apart(
            decreasing, len(self.live), self.limits.dead
        )

    def components(self, order: Sequence[int]) -> list[Component]:
        """The connected components; ``order`` ranks the tensors where a basis needs a choice."""
        found = [Component((index,), ((1,),), 0.0, dead=True) for index in self.dead]
        for index in self.lone.tolist():
            found.append(Component((index,), ((1,),), self.residual([index], [(1,)])))
        place = {index: column for column, index in enumerate(self.coupled.tolist())}
        columns = [place[index] for index in order if index in place]
        reduced = self._integers(columns)
        for rows, positions in _connected(reduced):
            members = tuple(int(self.coupled[columns[position]]) for position in positions)
            basis = tuple(sparse([primitive(reduced[row, positions]) for row in rows]))
            found.append(Component(members, basis, self.residual(members, basis)))
        return found

    @property
    def dead(self) -> list[int]:
        """Indices of the tensors that the function does not depend on."""
        indices: list[int] = np.setdiff1d(np.arange(len(self.scale)), self.live).tolist()
        return indices

    def residual(self, members: Sequence[int], generators: Sequence[Vector]) -> float:
        """`Component.residual` of ``generators``, one exponent for each of ``members``."""
        vectors = np.array(generators) * self.scale[list(members)]
        sizes = np.linalg.norm(vectors, axis=1)
        columns = np.searchsorted(self.live, members)
        images = np.linalg.norm(self.matrix[:, columns] @ vectors.T, axis=0)
        return float((images / np.maximum(sizes, 1e-300)).max()) / self.unit

    def _integers(self, columns: Sequence[int]) -> Array:
        """Reduced basis of the null space on ``columns``, which are pivots in that order."""
        kept, left = self.singular_values[: self.rank], self.singular_values[self.rank :]
        error = 100 * max(float(left.max(initial=0.0)), 1e-15) / float(kept.min(initial=1.0))
        error = min(max(error, 1e-9), 3e-2)
        scale = self.scale[self.coupled[list(columns)]]
        whole = []
        for vector in row_reduced(self._directions[self.rank :, list(columns)], error):
            slack = error / scale[vector != 0].min()
            whole.append(primitive(vector / scale, min(slack, 2e-2)))
        return row_reduced(np.reshape(whole, (len(whole), len(scale))), 1e-6, in_order=True)

    def _apart(self, decreasing: Array, count: int, floor: float) -> bool:
        """Whether the first ``count`` values exceed the rest, and ``floor``, by the gap."""
        kept, left = decreasing[:count], decreasing[count:]
        below = max(float(left.max(initial=0.0)), floor)
        return float(kept.min(initial=np.inf)) > self.limits.gap * below


def _connected(reduced: Array) -> list[tuple[list[int], list[int]]]:
    """Components (rows, columns) of the graph that joins a row with the columns it is not zero in.

    For a reduced basis these are the connected components of the null space itself: any reduced
    basis gives the same columns.
    """
    components: list[tuple[list[int], set[int]]] = []
    for row, vector in enumerate(reduced):
        rows, columns = [row], set(np.flatnonzero(vector).tolist())
        for other in [part for part in components if part[1] & columns]:
            components.remove(other)
            rows, columns = other[0] + rows, other[1] | columns
        components.append((rows, columns))
    return [(rows, sorted(columns)) for rows, columns in components]
