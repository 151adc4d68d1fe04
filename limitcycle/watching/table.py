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
    every = range(len(groups))
    columns, hyper = _columns(reading, groups, counted or list(every), family, updates)
    steps: dict[str, Any] = {"step": reading.step, **reading.logged}
    steps |= {name: column[:, 0] for name, column in columns.items()}
    if family.scaling == "gradient":
        steps["momentum"] = hyper.momentum[:, 0]
    frame = pd.DataFrame(steps)
    if "loss" not in frame:
        frame.insert(1, "loss", np.nan)
    names = pd.Series([group.name for group in groups]).array
    by_group = pd.DataFrame(
        {
            "step": np.repeat(reading.step, len(groups)),
            "group": names.take(np.tile(every, len(reading.step))),
            **{name: column[:, 1:].ravel() for name, column in columns.items()},
        }
    )
    return frame, by_group


def _columns(
    reading: Reading,
    groups: Sequence[Watched],
    joint: Sequence[int],
    family: Family,
    updates: bool,
) -> tuple[dict[str, Array], Hyper]:
    """The columns, each (T, 1 + G): of the joint groups as one vector, then of every group; and
    the settings."""
    with_update = _joint_first(reading.with_update, joint)
    if not updates:
        with_update = np.full_like(with_update, np.nan)
    found = measured_columns(_joint_first(reading.with_gradient, joint), with_update)
    members = [[groups[index] for index in joint], *([group] for group in groups)]
    hyper = _hyper(reading, members)
    # Weight decay that is added to a gradient and normalised with it shrinks nothing by ηλ.
    decay = hyper.weight_decay if family.decays else np.where(hyper.weight_decay == 0, 0.0, np.nan)
    entries = np.array([sum(group.entries for group in each) for each in members])
    norm, rotation = family.equilibrium(hyper, found["effective_grad_norm"], entries)
    columns = {
        **found,
        "lr": hyper.lr,
        "weight_decay": decay,
        "effective_lr": family.effective_lr(hyper.lr, found["norm"]),
        "equilibrium_norm": norm,
        "equilibrium_rotation": rotation,
    }
    return columns, hyper


def _joint_first(grams: Array, joint: Sequence[int]) -> Array:
    """Gram matrices of groups, (T, G, 2, 2), behind that of the joint ones: (T, 1 + G, 2, 2)."""
    return np.concatenate([grams[:, joint].sum(axis=1, keepdims=True), grams], axis=1)


def _hyper(reading: Reading, members: Sequence[Sequence[Watched]]) -> Hyper:
    """The settings that each set's tensors share, (T, S); NaN where they do not."""
    used = [tuple(sorted({i for group in each for i in group.settings})) for each in members]
    shared = {}
    for indices in set(used):  # few, however many groups there are
        settings = reading.settings[:, indices]
        alike = (settings == settings[:, :1]).all(axis=1)
        shared[indices] = np.where(alike, settings[:, 0], np.nan)
    return Hyper(*np.stack([shared[each] for each in used], axis=1).transpose(2, 0, 1))
