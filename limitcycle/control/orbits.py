"""Scale-invariant groups as an optimizer's tensors, and the way along their orbits α ↦ α^k∘w.

T tensors in G groups. Everything that depends on weights stays on their device as float64 scalars;
nothing is read back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from limitcycle.control.shares import Shares, shares_of
from limitcycle.errors import UserError
from limitcycle.measure import Moving
from limitcycle.sharded import is_flattened, local
from limitcycle.symmetry import Group, Symmetries

Per = Literal["group", "all"]

_NEWTON_STEPS = 16


@dataclass(frozen=True)
class Orbits:
    """Tensors that scale together, by group.

    Attributes:
        labels: (G,) each group by its first tensor.
        tensors: (T,) all of them, group by group.
        owners: (T,) the group of each.
        exponents: (T,) float64, its exponent k > 0.
        slots: (T,) the index of its param group in the optimizer.
        plain: whether every exponent is 1, so that α is a ratio of norms.
        shares: which parts of them this process counts, where they are sharded; else None.
    """

    labels: tuple[str, ...]
    tensors: tuple[Tensor, ...]
    owners: tuple[int, ...]
    exponents: Tensor
    slots: tuple[int, ...]
    plain: bool
    shares: Shares | None = None

    @property
    def param_groups(self) -> list[set[int]]:
        """The param groups that each group's tensors lie in, (G,)."""
        found: list[set[int]] = [set() for _ in self.labels]
        for group, slot in zip(self.owners, self.slots, strict=True):
            found[group].add(slot)
        return found

    def gather(self, per_tensor: Tensor) -> Tensor:
        """Sums over each group of ``per_tensor`` (T,) → (G,), in a fixed order."""
        return per_tensor @ self._members

    def spread(self, per_group: Tensor) -> Tensor:
        """The entry of its group for each tensor, (G,) → (T,)."""
        return per_group[self._owner]

    def norms(self) -> Tensor:
        """ρ of each group, (G,)."""
        return self.gather(self.squares(self.tensors)).sqrt()

    def factors(self, norm: Tensor) -> Tensor:
        """α (G,) with ‖α^k∘w‖ = ``norm`` (G,); 1 where there is none (w = 0 or not finite)."""
        squares = self.squares(self.tensors)
        if self.plain:
            alpha = norm / self.gather(squares).sqrt()
        else:
            alpha = scaling_to(norm, squares, self.exponents, self._members > 0)
        return torch.where(alpha.isfinite() & (alpha > 0), alpha, 1.0)

    def scale(self, tensors: Sequence[Tensor | None], alpha: Tensor, degree: int) -> None:
        """The i-th of ``tensors`` (T,) times α^{degree·k_i}, in place; None is passed over."""
        here = [None if tensor is None else local(tensor) for tensor in tensors]
        multiply(here, self.spread(alpha) ** (degree * self.exponents))

    def squares(self, tensors: Sequence[Tensor]) -> Tensor:
        """‖t‖² of each of these tensors or their likes, (T,); whole, where a part lies here."""
        return self.whole(squared_norms([local(tensor) for tensor in tensors]))

    def whole(self, sums: Tensor) -> Tensor:
        """Sums over the entries of each tensor that lie here, (…, T), made whole."""
        return sums if self.shares is None else self.shares.whole(sums)

    @cached_property
    def _owner(self) -> Tensor:
        return torch.tensor(self.owners, device=self.exponents.device)

    @cached_property
    def _members(self) -> Tensor:
        return torch.nn.functional.one_hot(self._owner, len(self.labels)).double()


def squared_norms(tensors: Sequence[Tensor]) -> Tensor:
    """‖t‖² of each, (T,) float64 on the first one's device; float32 sums are short, or none.

    A CPU adds up float32 in one go to 4e-5 only, and in float64 twenty times as slowly; row by row
    it is right to 1e-8 at full speed.
    """
    if tensors[0].device.type == "cpu":
        norms = [_norm_by_rows(t) for t in tensors]
    else:
        norms = list(torch._foreach_norm(list(tensors), 2, dtype=torch.float64))
    return torch.stack([norm.to(tensors[0].device) for norm in norms]).square()


def _norm_by_rows(tensor: Tensor) -> Tensor:
    wide = torch.promote_types(tensor.dtype, torch.float32)
    axes = tuple(range(1, tensor.dim()))
    rows = torch.linalg.vector_norm(tensor, dim=axes, dtype=wide) if axes else tensor
    norm: Tensor = torch.linalg.vector_norm(rows, dtype=torch.float64)
    return norm


def scaling_to(norm: Tensor, squares: Tensor, exponents: Tensor, members: Tensor) -> Tensor:
    """α (G,) with Σᵢ α^{2kᵢ}·‖wᵢ‖² = norm², by Newton's method in log α.

    log Σ exp(2kᵢ·log α + log ‖wᵢ‖²) is convex with a slope of at least 2·min k > 0, so Newton's
    method needs no safeguard: whatever the start, it comes from the right after one step, and
    passes at least one distinct exponent a step before it converges quadratically.

    Args:
        norm: (G,).
        squares: (T,) ‖wᵢ‖².
        exponents: (T,) kᵢ > 0.
        members: (T, G) bool, which tensor is in which group.
    """
    log_alpha, k = torch.zeros_like(norm), exponents[:, None]
    logs = squares.log()[:, None].where(members, -torch.inf)
    for _ in range(_NEWTON_STEPS):
        terms = logs + 2 * k * log_alpha
        slope = 2 * (terms.softmax(0) * k).sum(0)
        log_alpha = log_alpha + (2 * norm.log() - terms.logsumexp(0)) / slope
    return log_alpha.exp()


def column(values: Sequence[float | Tensor], like: Tensor) -> Tensor:
    """``values`` as a vector of ``like``'s dtype and device, without waiting for the device."""
    numbers = [value for value in values if not isinstance(value, Tensor)]
    if len(numbers) == len(values) and len(set(numbers)) == 1:
        return like.new_full((len(values),), numbers[0])
    scalars = [
        value.to(like).reshape(()) if isinstance(value, Tensor) else like.new_full((), value)
        for value in values
    ]
    return torch.stack(scalars)


def multiply(tensors: Sequence[Tensor | None], factors: Tensor) -> None:
    """Each tensor times its entry of ``factors`` (T,), in place; None is passed over."""
    cast: dict[tuple[torch.device, torch.dtype], tuple[Tensor, ...]] = {}
    present, matching = [], []
    for number, tensor in enumerate(tensors):
        if tensor is None:
            continue
        kind = (tensor.device, tensor.dtype)
        if kind not in cast:
            cast[kind] = factors.to(*kind).unbind()
        present.append(tensor)
        matching.append(cast[kind][number])
    if present:
        torch._foreach_mul_(present, matching)


def find_orbits(optimizer: Moving, symmetries: Symmetries, per: Per) -> Orbits:
    """The scale-invariant groups as the optimizer's tensors; one joint group for ``per="all"``.

    Raises:
        UserError: there are none, or ``symmetries`` is something else; they are not bound to a
            model; a tensor is in no param group, sharded ones do not add up, or the weights of a
            group are all zero or not finite.
    """
    if per not in ("group", "all"):
        raise UserError(f'per={per!r} is neither "group" nor "all"')
    if not isinstance(symmetries, Symmetries):
        raise UserError(
            "symmetries must be what limitcycle.symmetries returns, not "
            f"{type(symmetries).__name__}"
        )
    groups = [group for group in symmetries.groups if group.kind == "scale-invariant"]
    if not groups:
        raise UserError("nothing to control: these symmetries hold no scale-invariant group")
    if not symmetries.parameters:
        raise UserError(
            "these symmetries do not hold the model's tensors: bind them, symmetries.bound(model)"
        )
    names = [name for group in groups for name in group.names]
    tensors = tuple(symmetries.parameters[name] for name in names)
    owners = [number for number, group in enumerate(groups) for _ in group.names]
    exponents = [_exponent(group, name) for group in groups for name in group.names]
    for name, tensor in zip(names, tensors, strict=True):
        if is_flattened(tensor):
            raise UserError(
                f"parameter {name!r} is flattened by FSDP1: shard with fully_shard to control it"
            )
    orbits = Orbits(
        labels=tuple(group.names[0] for group in groups) if per == "group" else ("all",),
        tensors=tensors,
        owners=tuple(owners) if per == "group" else (0,) * len(owners),
        exponents=torch.tensor(exponents, dtype=torch.float64, device=tensors[0].device),
        slots=_slots(optimizer, names, tensors),
        plain=set(exponents) == {1.0},
        shares=shares_of(dict(zip(names, tensors, strict=True))),
    )
    _refuse_nothing_to_scale(orbits)
    return orbits


def _exponent(group: Group, name: str) -> float:
    assert group.exponents is not None, "a scale-invariant group has a positive vector"
    return float(group.exponents[name])


def _slots(optimizer: Moving, names: Sequence[str], tensors: Sequence[Tensor]) -> tuple[int, ...]:
    where = {
        id(tensor): number
        for number, group in enumerate(optimizer.param_groups)
        for tensor in group["params"]
    }
    for name, tensor in zip(names, tensors, strict=True):
        if id(tensor) not in where:
            raise UserError(
                f"scale-invariant parameter {name!r} is in no param group of the optimizer: give "
                "it all trainable parameters of the model that the symmetries are bound to; where "
                "several optimizers move them, give all, [first, second]"
            )
    return tuple(where[id(tensor)] for tensor in tensors)


def _refuse_nothing_to_scale(orbits: Orbits) -> None:
    with torch.no_grad():
        norms = orbits.norms().tolist()
    for label, norm in zip(orbits.labels, norms, strict=True):
        if not 0 < norm < float("inf"):
            raise UserError(f"the weights of group {label!r} have norm {norm}: nothing to scale")
