"""How the leak grows as the norm shrinks.

A symmetry is exact for a vanishing eps only. At the model's own eps the leak of a normalised tensor
is about eps over the variance that it is compared with, so it grows like 1/ρ² while weight decay
shrinks ρ, up to order one: there the tensor is no longer scale-invariant.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from limitcycle.symmetry.answer import Symmetries
from limitcycle.symmetry.probe import Loss, Probe
from limitcycle.symmetry.search import leak
from limitcycle.symmetry.untouched import plain_name, untouched, unwrapped

Array = NDArray[np.float64]

SHRINKAGE = (1.0, 0.5, 0.25, 0.1, 0.03, 0.01)
VISIBLE = 0.01


@dataclass(frozen=True)
class LeakGrowth:
    """The leak of each scale-invariant group, all of them shrunk together.

    Attributes:
        names: first tensors of the groups.
        shrinkage: what the tensors were multiplied by (to the power of their exponents).
        leaks: shape (groups, shrinkages).
    """

    names: tuple[str, ...]
    shrinkage: tuple[float, ...]
    leaks: Array

    @property
    def visible_at(self) -> Array:
        """The shrinkage at which each leak reaches 1 %, shape (groups,).

        Interpolated in logarithms; NaN where it stays below, 1 where it is above from the start.
        """
        return np.array([_crossing(self.shrinkage, row) for row in self.leaks])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is not finite becomes None."""
        leaks = [[float(v) if np.isfinite(v) else None for v in row] for row in self.leaks]
        return {"names": list(self.names), "shrinkage": list(self.shrinkage), "leaks": leaks}

    def __str__(self) -> str:
        rows = [("leak at norm ×", *(f"{s:g}" for s in self.shrinkage), "1 % at norm ×")]
        last = f"below {self.shrinkage[-1]:g}"
        for name, leaks, at in zip(self.names, self.leaks, self.visible_at, strict=True):
            reached = last if np.isnan(at) else f"{at:.2g}"
            rows.append((name, *(f"{value:.1e}" for value in leaks), reached))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = (zip(row, widths, strict=True) for row in rows)
        return "\n".join("  ".join(c.ljust(width) for c, width in line).rstrip() for line in lines)


def leak_growth(
    model: nn.Module,
    batch: Any,
    symmetries: Symmetries,
    loss: Loss | None = None,
    shrinkage: tuple[float, ...] = SHRINKAGE,
) -> LeakGrowth:
    """Measure the leak at the model's own eps and dtype with its weights shrunk; model untouched.

    Args:
        model: the model of ``symmetries``.
        batch: what it is called with.
        symmetries: of whole tensors; its scale-invariant groups are shrunk, all at once.
        loss: as for `limitcycle.symmetries`.
        shrinkage: factors of the norms.

    Raises:
        UserError: the symmetries are another model's.
    """
    symmetries.bound(model)
    groups = [group for group in symmetries.groups if group.kind == "scale-invariant"]
    model = unwrapped(model)
    with untouched(model):
        probe = Probe(model, batch, loss)
        place = {plain_name(name): i for i, name in enumerate(probe.pieces)}
        vectors = [_vector(group.exponents or {}, place) for group in groups]
        leaks = np.full((len(groups), len(shrinkage)), np.nan)
        for column, factor in enumerate(shrinkage):
            row = probe.row_as_it_is(factor ** sum(vectors, np.zeros(len(place))))
            for line, vector in enumerate(vectors):
                leaks[line, column] = leak(
                    np.flatnonzero(vector).tolist(), vector[vector != 0], row
                )
    return LeakGrowth(tuple(group.names[0] for group in groups), tuple(shrinkage), leaks)


def _vector(exponents: dict[str, float], place: dict[str, int]) -> Array:
    vector = np.zeros(len(place))
    for name, exponent in exponents.items():
        vector[place[name]] = exponent
    return vector


def _crossing(shrinkage: tuple[float, ...], leaks: Array) -> float:
    above = np.flatnonzero(leaks >= VISIBLE)
    if not len(above) or above[0] == 0:
        return 1.0 if len(above) else float("nan")
    pair = slice(above[0] - 1, above[0] + 1)
    x, y = np.log(np.array(shrinkage[pair])), np.log(np.maximum(leaks[pair], 1e-300))
    return float(np.exp(np.interp(np.log(VISIBLE), y, x)))
