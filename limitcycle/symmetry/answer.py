"""The answer of a search: groups of tensors that scale together, readable and storable."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from limitcycle.errors import UserError
from limitcycle.late import late
from limitcycle.symmetry.group import Group
from limitcycle.symmetry.table import table
from limitcycle.symmetry.untouched import trainable

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Symmetries:
    """All scaling symmetries of a model's trainable tensors.

    Attributes:
        groups: the connected components, in the model's order of their first tensors.
        not_invariant: names of the trainable tensors that no symmetry touches.
        frozen: names of the parameters that were held constant.
        parameters: the model's trainable tensors by name; empty in an answer read from a file,
            until it is `bound`.
    """

    groups: tuple[Group, ...]
    not_invariant: tuple[str, ...]
    frozen: tuple[str, ...]
    parameters: "Mapping[str, Tensor]" = field(default_factory=dict, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "parameters": {}}  # a pickled answer does not carry the weights

    @property
    def scale_invariant(self) -> tuple[str, ...]:
        """Names of the tensors in scale-invariant groups."""
        return tuple(
            name for group in self.groups if group.kind == "scale-invariant" for name in group.names
        )

    def is_symmetry(self, exponents: Mapping[str, float]) -> bool:
        """Whether multiplying each tensor by α^exponent (0 where not named) changes nothing.

        Raises:
            UserError: a name that is no trainable tensor of the model.
        """
        unknown = sorted(set(exponents) - set(self._owner) - set(self.not_invariant))
        if unknown:
            raise UserError(f"{unknown[0]!r} is no trainable parameter of the probed model")
        if any(exponents.get(name, 0) for name in self.not_invariant):
            return False
        return all(_spans(group, exponents) for group in self.groups)

    def bound(self, model: "nn.Module") -> Self:
        """The same answer with the `parameters` of ``model``, which it was found for.

        Raises:
            UserError: the model's trainable tensors are others.
        """
        tensors = trainable(model)
        named = {*(name for group in self.groups for name in group.names), *self.not_invariant}
        if odd := sorted(named.symmetric_difference(tensors)):
            where = "the model" if odd[0] in tensors else "the symmetries"
            raise UserError(
                f"these symmetries are not this model's: trainable parameter {odd[0]!r} is only "
                f"in {where}; find them again with limitcycle.symmetries(model, batch)"
            )
        return replace(self, parameters=tensors)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; a leak that is not finite becomes None."""
        groups = [asdict(group) for group in self.groups]
        for group in groups:
            group["names"], group["generators"] = list(group["names"]), list(group["generators"])
            group["leak"] = group["leak"] if math.isfinite(group["leak"]) else None
        return {
            "groups": groups,
            "not_invariant": list(self.not_invariant),
            "frozen": list(self.frozen),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            UserError: no such content.
        """
        try:
            groups = tuple(_group(group) for group in content["groups"])
            return cls(groups, tuple(content["not_invariant"]), tuple(content["frozen"]))
        except (KeyError, TypeError) as problem:
            raise UserError(f"these are no stored symmetries ({problem!r} is wrong)") from None

    def __str__(self) -> str:
        return table(self.groups, self.not_invariant, self.frozen)

    def __repr__(self) -> str:
        tensors = sum(len(group.names) for group in self.groups) + len(self.not_invariant)
        found = f"{len(self.scale_invariant)} of {tensors} tensors scale-invariant"
        return f"<Symmetries: {found}, {len(self.groups)} groups>"

    def _repr_html_(self) -> str:
        return str(late("notebook", "symmetries_card")(self))

    @cached_property
    def _owner(self) -> dict[str, Group]:
        return {name: group for group in self.groups for name in group.names}


def _group(content: Mapping[str, Any]) -> Group:
    leak = content["leak"]
    return Group(
        names=tuple(content["names"]),
        generators=tuple(dict(generator) for generator in content["generators"]),
        exponents=None if content["exponents"] is None else dict(content["exponents"]),
        kind=content["kind"],
        leak=math.nan if leak is None else float(leak),
        residual=float(content["residual"]),
        why=content.get("why", ""),
    )


def _spans(group: Group, exponents: Mapping[str, float]) -> bool:
    """Whether the group's part of ``exponents`` is a combination of its generators."""
    part = np.array([exponents.get(name, 0) for name in group.names], dtype=float)
    basis = np.array([[k.get(name, 0) for k in group.generators] for name in group.names])
    left = part - basis @ np.linalg.lstsq(basis, part, rcond=None)[0]
    return bool(np.linalg.norm(left) <= 1e-6 * np.linalg.norm(part))
