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

DEAD = 1e-10  # sensitivity, relative to the most sensitive tensor
EXACT = 1e-9  # singular value, in units of a matrix with entries of order one
APPROXIMATE = 1e-3
CLEAN_GAP = 30.0


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
    """

    def __init__(self, products: Array, sensitivity: Array) -> None:
        size = np.linalg.norm(sensitivity, axis=1, keepdims=True)
        size[size == 0] = 1
        self.scale = np.sqrt(np.mean((sensitivity / size) ** 2, axis=0))
        self.scale /= self.scale.max(initial=0.0) or 1.0
        self.live = np.flatnonzero(self.scale > DEAD)
        self.matrix = products[:, self.live] / size / self.scale[self.live]
        rows, tensors = self.matrix.shape
        _, values, self._directions = np.linalg.svd(self.matrix)
        # Entries of order one are the unit: where every tensor is invariant all values are noise.
        self.unit = max(values.max(initial=0.0), rows**0.5)
        self.singular_values = np.zeros(tensors)
        self.singular_values[: min(rows, tensors)] = values[:tensors] / self.unit

    @property
    def rank(self) -> int:
        """Tensors less symmetries: singular values above the gap.

        Below `EXACT` all are rounding. Those between it and `APPROXIMATE` are near symmetries (an
        eps out of reach) if a clean gap sets them apart from the rest, and dependence if not.
        """
        exact, loose = (int(np.sum(self.singular_values > cut)) for cut in (EXACT, APPROXIMATE))
        return loose if _gap(self.singular_values, loose) > CLEAN_GAP else exact

    @property
    def clear(self) -> bool:
        """Whether a gap sets symmetries apart from dependence, and dead tensors from live ones."""
        decreasing = np.sort(self.scale)[::-1]
        gaps = _gap(self.singular_values, self.rank), _gap(decreasing, len(self.live))
        return min(gaps) > CLEAN_GAP

    def components(self, order: Sequence[int]) -> list[Component]:
        """The connected components; ``order`` ranks the tensors where a basis needs a choice."""
        dead = np.setdiff1d(np.arange(len(self.scale)), self.live).tolist()
        found = [Component((index,), ((1,),), 0.0, dead=True) for index in dead]
        reduced = row_reduced(self._directions[self.rank :], self._error)
        place = {index: rank for rank, index in enumerate(order)}
        for rows, columns in _connected(reduced):
            members = sorted(self.live[columns].tolist(), key=place.__getitem__)
            columns = np.searchsorted(self.live, members).tolist()
            basis = self._integers(reduced[np.ix_(rows, columns)], members)
            residual = max(self._residual(columns, vector) for vector in basis)
            found.append(Component(tuple(members), tuple(basis), residual))
        return found

    @property
    def _error(self) -> float:
        """How far a null vector's entries may be off: what is neglected over what is not, ×100."""
        kept, left = self.singular_values[: self.rank], self.singular_values[self.rank :]
        error = 100 * max(left.max(initial=0.0), 1e-15) / kept.min(initial=1.0)
        return min(max(error, 1e-9), 3e-2)

    def _integers(self, vectors: Array, members: Sequence[int]) -> list[Vector]:
        """Scaled null vectors as a basis of integer ones that only the order of members decides."""
        scale = self.scale[list(members)]
        slack = min(self._error / scale.min(), 2e-2)
        exponents = [primitive(vector / scale, slack) for vector in vectors]
        return sparse([primitive(row) for row in row_reduced(exponents, 1e-6, in_order=True)])

    def _residual(self, columns: Sequence[int], vector: Vector) -> float:
        scaled = np.asarray(vector, dtype=float) * self.scale[self.live[columns]]
        image = self.matrix[:, columns] @ (scaled / np.linalg.norm(scaled))
        return float(np.linalg.norm(image)) / float(self.unit)


def _gap(decreasing: Array, count: int) -> float:
    """Ratio between the ``count``-th value and the next; infinite at either end."""
    if count in (0, len(decreasing)):
        return np.inf
    return float(decreasing[count - 1] / max(decreasing[count], 1e-300))


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
