"""From a block of Gram matrices to the rows that people read: joint, and group by group."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from limitcycle.measure import measured_columns
from limitcycle.reading.optimizers import UpdateRule
from limitcycle.watching.buffer import Measurements
from limitcycle.watching.groups import Watched
from limitcycle.watching.ruled import Rules, extent_of

Array = NDArray[np.float64]

_RULED = ("weight_decay", "effective_lr", "equilibrium_norm", "equilibrium_rotation")


class Settings(NamedTuple):
    """Settings of S sets of groups, row by row; each array (T, S), NaN where tensors disagree.

    Attributes:
        lr, weight_decay: η and λ.
        momentum: μ of SGD, β₁ of the Adam family; 0 where there is none.
    """

    lr: Array
    weight_decay: Array
    momentum: Array


def rows_of(
    measured: Measurements, groups: Sequence[Watched], rules: Rules, *, updates: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The step table's rows and the group table's, of one block.

    The joint columns are those of all scale-invariant groups as one vector; of everything that is
    watched where there are none.

    Args:
        measured: the block, T steps.
        groups: what its Gram matrices are of.
        rules: of the optimizers.
        updates: whether updates were measured; where not, what follows from them is NaN.
    """
    every = range(len(groups))
    sets = [joint_groups(groups), *([index] for index in every)]
    columns, settings = _columns(measured, groups, sets, rules, updates)
    steps: dict[str, Any] = {"step": measured.step, **measured.logged}
    steps |= {name: column[:, 0] for name, column in columns.items()}
    if rules.of([groups[index] for index in sets[0]]).scaling == "gradient":
        steps["momentum"] = settings.momentum[:, 0]
    frame = pd.DataFrame(steps)
    if "loss" not in frame:
        frame.insert(1, "loss", np.nan)
    names = pd.Series([group.name for group in groups]).array
    by_group = pd.DataFrame(
        {
            "step": np.repeat(measured.step, len(groups)),
            "group": names.take(np.tile(every, len(measured.step))),
            **{name: column[:, 1:].ravel() for name, column in columns.items()},
        }
    )
    return frame, by_group


def joint_groups(groups: Sequence[Watched]) -> list[int]:
    """The groups that count for the joint row: the scale-invariant ones, or all if none is."""
    counted = [index for index, group in enumerate(groups) if group.invariant]
    return counted or list(range(len(groups)))


def _columns(
    measured: Measurements,
    groups: Sequence[Watched],
    sets: Sequence[Sequence[int]],
    rules: Rules,
    updates: bool,
) -> tuple[dict[str, Array], Settings]:
    """The columns, each (T, S), of S sets of groups, each as one vector; and their settings."""
    with_update = _summed(measured.with_update, sets)
    if not updates:
        with_update = np.full_like(with_update, np.nan)
    found = measured_columns(_summed(measured.with_gradient, sets), with_update)
    members = [[groups[index] for index in each] for each in sets]
    settings = _settings(measured, members)
    columns = found | {name: np.empty(settings.lr.shape) for name in _RULED}
    columns["lr"] = settings.lr
    by_rule: dict[UpdateRule, list[int]] = {}
    for number, each in enumerate(members):
        by_rule.setdefault(rules.of(each), []).append(number)
    for rule, numbers in by_rule.items():
        theirs = [members[number] for number in numbers]
        chosen = _chosen(settings, numbers)
        parts = _ruled(rule, theirs, chosen, found, numbers, np.asarray(measured.step))
        for name, part in parts.items():
            columns[name][:, numbers] = part
    if measured.second_moments is not None:
        moments = [measured.second_moments[:, list(each)].sum(axis=1) for each in sets]
        with np.errstate(all="ignore"):
            columns["second_moment_lag"] = found["grad_norm"] ** 2 / np.stack(moments, axis=1)
    return columns, settings


def _ruled(
    rule: UpdateRule,
    members: Sequence[Sequence[Watched]],
    settings: Settings,
    found: dict[str, Array],
    numbers: list[int],
    step: NDArray[np.int64],
) -> dict[str, Array]:
    """The columns that hang on the optimizer, each (T, K), of the K sets that follow its rule."""
    decay = settings.weight_decay
    if not rule.decays:  # decay that is normalised with the gradient shrinks nothing by ηλ
        decay = np.where(decay == 0, 0.0, np.nan)
    extents = [extent_of(each) for each in members]
    gradient, norms = (found[name][:, numbers] for name in ("effective_grad_norm", "norm"))
    norm, rotation = rule.rest(*settings, gradient, extents)
    return {
        "weight_decay": decay,
        "effective_lr": rule.effective_lr(settings.lr, norms, rule.units(extents), step[:, None]),
        "equilibrium_norm": norm,
        "equilibrium_rotation": rotation,
    }


def _chosen(settings: Settings, numbers: list[int]) -> Settings:
    return Settings(*(each[:, numbers] for each in settings))


def _summed(grams: Array, sets: Sequence[Sequence[int]]) -> Array:
    """Gram matrices of sets, (T, S, 2, 2), from those of groups, (T, G, 2, 2)."""
    return np.stack(
        [
            grams[:, each[0]] if len(each) == 1 else grams[:, list(each)].sum(axis=1)
            for each in sets
        ],
        axis=1,
    )


def _settings(measured: Measurements, members: Sequence[Sequence[Watched]]) -> Settings:
    """The settings that each set's tensors share, (T, S); NaN where they do not."""
    used = [tuple(sorted({i for group in each for i in group.settings})) for each in members]
    shared = {}
    for indices in set(used):  # few, however many groups there are
        settings = measured.settings[:, indices]
        alike = (settings == settings[:, :1]).all(axis=1)
        shared[indices] = np.where(alike, settings[:, 0], np.nan)
    return Settings(*np.stack([shared[each] for each in used], axis=1).transpose(2, 0, 1))
