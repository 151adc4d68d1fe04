"""Symmetries that were not found: those that the user declares, and none at all."""

import math
from collections.abc import Iterable
from fnmatch import fnmatchcase

from torch import nn

from limitcycle.errors import UserError
from limitcycle.symmetry import Group, Symmetries, plain_name, trainable, unwrapped

_SHOWN = 5


def declared(model: nn.Module, patterns: Iterable[str]) -> Symmetries:
    """Each trainable tensor that a name or pattern fits, scale-invariant by itself.

    Args:
        model: whose tensors they are.
        patterns: names of tensors, or patterns in the shell's way (``layers.*.conv?.weight``).

    Raises:
        UserError: one of them fits no trainable tensor.
    """
    names = list(trainable(model))
    chosen = set()
    for pattern in patterns:
        fitting = [name for name in names if fnmatchcase(name, pattern)]
        if not fitting:
            shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
            raise UserError(
                f"symmetries={pattern!r} fits no trainable tensor of the model: {shown}"
            )
        chosen.update(fitting)
    groups = tuple(_alone(name) for name in names if name in chosen)
    return _with(model, groups)


def nothing_known(model: nn.Module) -> Symmetries:
    """No symmetry at all: what is measured where they cannot be found."""
    return _with(model, ())


def _alone(name: str) -> Group:
    exponent = {name: 1.0}
    return Group(
        names=(name,),
        generators=(exponent,),
        exponents=exponent,
        kind="scale-invariant",
        leak=math.nan,
        residual=0.0,
        why="declared by the user",
    )


def _with(model: nn.Module, groups: tuple[Group, ...]) -> Symmetries:
    parameters = trainable(model)
    named = {name for group in groups for name in group.names}
    every = unwrapped(model).named_parameters()
    return Symmetries(
        groups=groups,
        not_invariant=tuple(name for name in parameters if name not in named),
        frozen=tuple(plain_name(name) for name, p in every if not p.requires_grad),
        parameters=parameters,
    )
