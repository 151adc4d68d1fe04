"""From a block of Gram matrices to the rows that people read: joint, and group by group."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from limitcycle.measure import measured_columns
from limitcycle.watching.block import Reading
from limitcycle.watching.families import Family, Hyper
from limitcycle.watching.groups import Watched

Array = NDArray[np.float64]


def rows_of(
    reading: Reading, groups: Sequence[Watched], family: Family, *, updates: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The step table's rows and the group table's, of one block.

    The joint columns are those of all scale-invariant groups as one vector; of everything that is
    watched where there are none.

    Args:
        reading: the block, T steps.
        groups: what its Gram matrices are of.
        family: of the optimizer.
        updates: whether updates were measured; where not, what follows from them is NaN.
    """
    counted = [index for index, group in enumerate(groups) if group.invariant]
    joint = counted or list(range(len(groups)))
    steps: dict[str, Any] = {
        "step": reading.step,
        **reading.logged,
        **_columns(reading, [groups[index] for index in joint], joint, family, updates),
    }
    if family.scaling == "gradient":
        steps["momentum"] = _hyper(reading, [groups[index] for index in joint]).momentum
    parts = [
        pd.DataFrame(
            {
                "step": reading.step,
                "group": group.name,
                **_columns(reading, [group], [index], family, updates),
            }
        )
        for index, group in enumerate(groups)
    ]
    by_step = pd.concat(parts).sort_values("step", kind="stable", ignore_index=True)
    frame = pd.DataFrame(steps)
    if "loss" not in frame:
        frame.insert(1, "loss", np.nan)
    return frame, by_step


def _columns(
    reading: Reading, groups: Sequence[Watched], indices: list[int], family: Family, updates: bool
) -> dict[str, Array]:
    with_update = reading.with_update[:, indices].sum(axis=1)
    if not updates:
        with_update = np.full_like(with_update, np.nan)
    found = measured_columns(reading.with_gradient[:, indices].sum(axis=1), with_update)
    hyper = _hyper(reading, groups)
    # Weight decay that is added to a gradient and normalised with it shrinks nothing by ηλ.
    decay = hyper.weight_decay if family.decays else np.where(hyper.weight_decay == 0, 0.0, np.nan)
    entries = sum(group.entries for group in groups)
    norm, rotation = family.equilibrium(hyper, found["effective_grad_norm"], entries)
    return {
        **found,
        "lr": hyper.lr,
        "weight_decay": decay,
        "effective_lr": family.effective_lr(hyper.lr, found["norm"]),
        "equilibrium_norm": norm,
        "equilibrium_rotation": rotation,
    }


def _hyper(reading: Reading, groups: Sequence[Watched]) -> Hyper:
    """The settings that these groups' tensors share; NaN where they do not."""
    used = sorted({index for group in groups for index in group.settings})
    settings = reading.settings[:, used]
    shared = (settings == settings[:, :1]).all(axis=1)
    return Hyper(*np.where(shared, settings[:, 0], np.nan).T)
