"""Which norm is judged where weight decay acts on some of the scale-invariant weights only.

The usual recipe leaves gains and biases of normalisations out of weight decay. In front of the next
normalisation a gain and its bias are scale-invariant, too. So the joint norm has a part that cannot
fall, and no one weight decay: no time to the next jump can be told from it, and smaller jumps of
the other part do not show in it.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

OTHER = "other"  # the group of all that is not scale-invariant
_USED = ("norm", "grad_norm", "lr", "weight_decay", "effective_lr")

Array = NDArray[np.float64]


def decayed(steps: pd.DataFrame, groups: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The step table of those scale-invariant groups that weight decay shrinks, and a note on it.

    Norm, gradient norm and rates are theirs; the other columns stay those of all groups.

    Args:
        steps: a step table; where its tensors have several weight decays, that column is NaN.
        groups: the group table beside it, step by step.

    Returns:
        ``steps`` as it is, and "", where it has one weight decay, where the shrunk groups have
        several, too, and where ``groups`` does not cover it.
    """
    if "weight_decay" not in steps or steps["weight_decay"].notna().any():
        return steps, ""
    columns, of = _shrunk(steps, groups)
    count = columns["norm"].shape[1]
    if count == 0 or not (_same(columns["lr"]) and _same(columns["weight_decay"])):
        return steps, ""
    norm, grad_norm = (np.linalg.norm(columns[name], axis=1) for name in ("norm", "grad_norm"))
    lr = columns["lr"][:, 0]
    found = steps.assign(
        norm=norm,
        grad_norm=grad_norm,
        effective_grad_norm=norm * grad_norm,
        lr=lr,
        weight_decay=columns["weight_decay"][:, 0],
        effective_lr=lr / norm ** _power(columns),
    )
    return found, f"judged by the {count} of {of} scale-invariant groups that weight decay shrinks"


def without(groups: pd.DataFrame, info: object) -> pd.DataFrame:
    """The group table without rows that are of no scale-invariant group, nor ``other``.

    Args:
        groups: may be empty.
        info: what ``run.json`` says of the watching, by whose ``apart`` they are known.
    """
    names = info.get("apart") if isinstance(info, Mapping) else None
    if not names or "group" not in groups:
        return groups
    return groups[~groups["group"].isin(names)].reset_index(drop=True)


def _shrunk(steps: pd.DataFrame, groups: pd.DataFrame) -> tuple[dict[str, Array], int]:
    """Columns (T, G) of the G shrunk groups, and of how many scale-invariant ones they are."""
    count = len(groups) // max(len(steps), 1)
    if count == 0 or not np.array_equal(np.repeat(steps["step"], count), groups["step"]):
        return dict.fromkeys(_USED, np.empty((len(steps), 0))), 0
    columns = {name: groups[name].to_numpy(np.float64).reshape(-1, count) for name in _USED}
    invariant = groups["group"].to_numpy()[:count] != OTHER
    mine = invariant & (columns["weight_decay"] > 0).any(axis=0)
    return {name: values[:, mine] for name, values in columns.items()}, int(invariant.sum())


def _same(values: Array) -> bool:
    return bool((values == values[:, :1]).all())


def _power(columns: dict[str, Array]) -> float:
    """The p of the effective learning rate η/ρᵖ; NaN where the table does not know it."""
    with np.errstate(all="ignore"):
        powers = [
            power
            for power in (2.0, 1.0, 0.0)
            if np.allclose(columns["effective_lr"] * columns["norm"] ** power, columns["lr"], 1e-4)
        ]
    return powers[0] if powers else np.nan
