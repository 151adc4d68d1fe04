"""Symmetries that were inferred, and whether the gradients of the first rows bear them out.

⟨x, ∇f⟩ vanishes for what is scale-invariant. What was continued from a twin to a deep model was
never measured there; its leak is the column ``radial_share`` of its group.
"""

from collections.abc import Sequence

import pandas as pd

from limitcycle.symmetry import Symmetries
from limitcycle.symmetry.continued import CONTINUED
from limitcycle.symmetry.leak import VISIBLE
from limitcycle.watching.groups import Watched


def leaking(symmetries: Symmetries, groups: Sequence[Watched], rows: pd.DataFrame) -> list[str]:
    """The inferred groups whose leak is above 1 % in most of these rows; names.

    Args:
        symmetries: of the model.
        groups: that are measured.
        rows: of the group table.
    """
    shares = rows.groupby("group")["radial_share"].median()
    inferred = {
        group.names[0]: group for group in symmetries.groups if group.why.startswith(CONTINUED)
    }
    found = []
    for watched in groups:
        group = inferred.get(watched.names[0]) if watched.names else None
        # With exponents that differ the leak is another sum than the column's.
        if group is None or len(set((group.exponents or {}).values())) != 1:
            continue
        if watched.invariant and shares.get(watched.name, 0.0) > VISIBLE:
            found.append(watched.name)
    return found
