"""The newest row of the step table by itself, in a fraction of the time that a table takes."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limitcycle.measure import measured_columns
from limitcycle.reading.optimizers import Extent, UpdateRule
from limitcycle.watching.buffer import Row
from limitcycle.watching.groups import Watched
from limitcycle.watching.ruled import Rules, extent_of
from limitcycle.watching.table import joint_groups


def newest_row(
    row: Row, grams: Tensor, groups: Sequence[Watched], rules: Rules, *, updates: bool
) -> dict[str, float]:
    """What `limitcycle.watching.table.rows_of` makes of one step's joint row.

    Args:
        row: what is known of the step.
        grams: its Gram matrices, (groups, 3, 3).
        groups: what they are of.
        rules: of the optimizers.
        updates: whether updates were measured.
    """
    joint = joint_groups(groups)
    members = [groups[place] for place in joint]
    rule, extent = rules.of(members), extent_of(members)
    found = {"step": float(row.step), "loss": math.nan}
    found |= {name: _mean(values) for name, values in row.logged.items()}
    found |= _measured(row, grams, joint, updates)
    used = {index for place in joint for index in groups[place].settings}
    lr, decay, momentum = (_shared(row, used, which) for which in range(3))
    norm, rotation = _rest(rule, lr, decay, momentum, extent)
    if not math.isfinite(found["effective_grad_norm"]):
        norm = rotation = math.nan
    if rule.equilibrium in ("sgd", "sgdw"):  # the rules by which the gradient has a say
        norm *= math.sqrt(found["effective_grad_norm"])
    lr_and_norm = np.array([lr]), np.array([found["norm"]])
    found |= {
        "lr": lr,
        "weight_decay": decay if rule.decays or decay == 0 else math.nan,
        "effective_lr": float(rule.effective_lr(*lr_and_norm, rule.units([extent]), row.step)[0]),
        "equilibrium_norm": norm,
        "equilibrium_rotation": rotation,
    }
    if row.second_moments is not None:
        moments = float(row.second_moments[joint].sum())
        found["second_moment_lag"] = found["grad_norm"] ** 2 / moments if moments else math.nan
    return found | {"momentum": momentum} if rule.scaling == "gradient" else found


def _measured(row: Row, grams: Tensor, joint: Sequence[int], updates: bool) -> dict[str, float]:
    chosen = grams if len(joint) == len(grams) else grams[list(joint)]
    gram = chosen.sum(dim=0).cpu().double().numpy()
    if row.scale is not None:
        gram[1] /= float(row.scale)
        gram[:, 1] /= float(row.scale)
    with_update = gram[::2, ::2] if updates else np.full((2, 2), np.nan)
    return {name: float(value) for name, value in measured_columns(gram, with_update).items()}


@lru_cache(maxsize=16)
def _rest(
    rule: UpdateRule, lr: float, weight_decay: float, momentum: float, extent: Extent
) -> tuple[float, float]:
    """Norm and rotation at rest for a gradient of size 1: the same as long as the settings are."""
    eta, lam, mu, one = (np.array([[value]]) for value in (lr, weight_decay, momentum, 1.0))
    norm, rotation = rule.rest(eta, lam, mu, one, [extent])
    return float(norm[0, 0]), float(rotation[0, 0])


def _shared(row: Row, used: set[int], which: int) -> float:
    """The setting that parameter groups share; NaN where they do not."""
    values = {float(row.settings[index][which]) for index in used}
    return values.pop() if len(values) == 1 else math.nan


def _mean(values: Sequence[Any]) -> float:
    numbers = [float(v.float()) if isinstance(v, torch.Tensor) else v for v in values]
    return math.fsum(numbers) / len(numbers) if numbers else math.nan
