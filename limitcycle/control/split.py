"""Param groups split in two: scale-invariant tensors, and the others.

What makes sense for one kind need not for the other: weight decay that follows the learning rate,
a learning rate of its own. An optimizer usually has both in one group.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from limitcycle.control.handle import controllable, controls_of
from limitcycle.control.orbits import find_orbits
from limitcycle.errors import UserError
from limitcycle.measure import Together
from limitcycle.symmetry import Symmetries

_BY_TENSOR = ("params", "param_names")  # lists with an entry a tensor


def split_groups(optimizer: Optimizer | Sequence[Optimizer], symmetries: Symmetries) -> None:
    """Give scale-invariant tensors param groups of their own, in place.

    A param group that holds both kinds becomes two, with the same options (learning rate, weight
    decay, …) and in the same order of tensors: the scale-invariant ones in its place, the others
    right behind it. Groups of one kind stay as they are, so that a second call changes nothing.
    The optimizer's state is left alone, and training goes on in the same bits.

    Call it before a scheduler is made, and before other controls: they count param groups.
    ``ReduceLROnPlateau`` leaves no trace on the optimizer, so that one is not noticed. A
    checkpoint of the optimizer goes into one with the same groups: one that was saved before the
    split is loaded before it.

    Args:
        optimizer: any of torch.optim but LBFGS, or several; wrappers of Accelerate and Lightning
            are looked through.
        symmetries: as found by `limitcycle.symmetries` for the model.

    Raises:
        UserError: the symmetries are not bound, or do not fit the optimizer; a scheduler or a
            control counts its param groups already.
    """
    optimizers = controllable(optimizer)
    mine = set(map(id, find_orbits(optimizers, symmetries, "group").tensors))
    if not any(_is_mixed(group, mine) for group in optimizers.param_groups):
        return
    _refuse_counted(optimizers)
    for member in optimizers.members:
        parts = [_parts(group, mine) for group in member.param_groups]
        member.param_groups[:] = [group for part in parts for group in part]


def _is_mixed(group: Mapping[str, Any], mine: set[int]) -> bool:
    return len({id(tensor) in mine for tensor in group["params"]}) > 1


def _parts(group: dict[str, Any], mine: set[int]) -> list[dict[str, Any]]:
    """The group itself, or its scale-invariant tensors and then its others."""
    if not _is_mixed(group, mine):
        return [group]
    invariant = [id(tensor) in mine for tensor in group["params"]]
    others = _with(group, [not each for each in invariant])
    for name in _BY_TENSOR:
        if name in group:  # in place: somebody may hold this group
            group[name] = _chosen(group[name], invariant)
    return [group, others]


def _with(group: Mapping[str, Any], kept: list[bool]) -> dict[str, Any]:
    """A group of the tensors that are ``kept``, its options those of ``group``.

    A learning rate that is a tensor is another tensor: a scheduler changes it in place, in each.
    """
    options = {
        name: value.clone() if isinstance(value, Tensor) else value for name, value in group.items()
    }
    tensors = {name: _chosen(group[name], kept) for name in _BY_TENSOR if name in group}
    return {**options, **tensors}


def _chosen(entries: list[Any], kept: list[bool]) -> list[Any]:
    return [entry for entry, keep in zip(entries, kept, strict=True) if keep]


def _refuse_counted(optimizers: Together) -> None:
    """Refuse optimizers of which something has counted the param groups."""
    if any(getattr(each.step, "_wrapped_by_lr_sched", False) for each in optimizers.members):
        raise UserError(
            "a scheduler was made for this optimizer's param groups: call split_groups before that"
        )
    for control in controls_of(optimizers):
        raise UserError(
            f"{control._name} works on this optimizer's param groups: call split_groups "
            "before it, or remove() it first"
        )
    hooks = [
        hook for each in optimizers.members for hook in each._optimizer_step_pre_hooks.values()
    ]
    if any(str(getattr(h, "__module__", "")).startswith("limitcycle.watching") for h in hooks):
        raise UserError(
            "limitcycle.watch watches this optimizer's param groups: call split_groups before "
            "it is entered"
        )
