"""The radial-free step: what an optimizer does to the norm itself is taken out of its step.

A gradient of a scale-invariant function is tangential, but an average of old ones is not, nor one
divided entry by entry: momentum and Adam lengthen the weights, and so lower their own effective
learning rate. Heo et al., "AdamP" (ICLR 2021), remove that part; weight decay keeps its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from limitcycle.control.handle import Handle, controllable
from limitcycle.control.orbits import (
    Orbits,
    Per,
    column,
    find_orbits,
    multiply,
    squared_norms,
)
from limitcycle.errors import UserError
from limitcycle.measure import Together
from limitcycle.reading.optimizers import group_rule
from limitcycle.sharded import local
from limitcycle.symmetry import Symmetries


def radial_free(update: Tensor, direction: Tensor) -> Tensor:
    """``update`` without its part along ``direction`` (same shape, not zero)."""
    share = (update * direction).sum() / direction.square().sum()
    return update - share * direction


class RadialFree(Handle):
    """`without_radial` at work. Keeps one copy of the weights."""

    _name: ClassVar[str] = "without_radial"
    _claims: ClassVar[str] = "norm"

    def __init__(self, optimizers: Together, orbits: Orbits) -> None:
        self._optimizers, self._orbits = optimizers, orbits
        self._slots = sorted(set(orbits.slots))
        places = [self._slots.index(slot) for slot in orbits.slots]
        self._places = torch.tensor(places, device=orbits.exponents.device)
        self._decays()  # refuses before anything is hooked
        self._held: list[Tensor] = []
        super().__init__(optimizers, orbits)

    def _before(self, member: int, new_turn: bool) -> None:
        if not self._held:
            self._held = [torch.empty_like(tensor) for tensor in self._here()]
        torch._foreach_copy_(self._held, self._here())

    def _after(self, member: int) -> None:
        """w' ← w' − a·(k∘w) with a = ⟨Δ + δw, k∘w⟩/‖k∘w‖²: `radial_free` of the step but for decay.

        Δ = w' − w is the optimizer's step and δ its shrinking of w; a tensor that was not stepped
        (no gradient, a step that GradScaler skipped) did not shrink either.
        """
        orbits, before, now = self._orbits, self._held, self._here()
        steps = torch._foreach_sub(now, before)
        pairs = zip(steps, before, strict=True)
        inner = torch.stack([_inner(step, w).to(orbits.exponents) for step, w in pairs])
        sums = torch.stack([inner, squared_norms(before), squared_norms(steps)])
        along, squares, moved = orbits.whole(sums)
        k = orbits.exponents
        shrunk = torch.where(moved > 0, self._shrinking(), 0.0)
        share = orbits.gather(k * (along + shrunk * squares)) / orbits.gather(k**2 * squares)
        multiply(before, orbits.spread(share) * k)
        torch._foreach_sub_(now, before)

    def _here(self) -> list[Tensor]:
        """What lies on this process of the tensors."""
        return [local(tensor) for tensor in self._orbits.tensors]

    def _shrinking(self) -> Tensor:
        """δ of each tensor, (T,)."""
        return column(self._decays(), self._orbits.exponents)[self._places]

    def _decays(self) -> list[float | Tensor]:
        """δ of each param group that scale-invariant tensors lie in."""
        groups = self._optimizers.param_groups
        return [_shrinking(self._optimizers.member_of(slot), groups[slot]) for slot in self._slots]


def without_radial(
    optimizer: Optimizer | Sequence[Optimizer], symmetries: Symmetries, per: Per = "group"
) -> RadialFree:
    """Take out of every step what moves scale-invariant weights along themselves (AdamP, SGDP).

    What is left of w' = w + Δ is w' = (1 − δ)w + P⊥Δ: the tangential part of the optimizer's step,
    and weight decay with its usual strength, δ = ηλ where it is decoupled and ηλ(1 − τ)/(1 − μ) for
    SGD with momentum μ and dampening τ. The norm then obeys Eq. (3) under any optimizer, ρ'² =
    (1 − δ)²ρ² + ‖P⊥Δ‖². Under plain SGD this changes nothing.

    Args:
        optimizer: any but LBFGS, or several; where its decay is neither decoupled nor SGD's, with
            ``weight_decay=0`` only.
        symmetries: as found by `limitcycle.symmetries` for the model.
        per: the radial direction of each ``"group"``, or one of ``"all"`` jointly.

    Returns:
        A handle: ``remove()``, context manager, ``state_dict()``, ``load_state_dict()``.

    Raises:
        UserError: the symmetries are not bound, or do not fit the optimizer; its weight decay has
            no radial part of its own.
    """
    optimizers = controllable(optimizer)
    return RadialFree(optimizers, find_orbits(optimizers, symmetries, per))


def _shrinking(optimizer: Optimizer, group: Mapping[str, Any]) -> float | Tensor:
    """By how much weight decay shortens a weight in a step of this param group, relative to it."""
    lr: float | Tensor = group["lr"]
    decay: float | Tensor = group.get("weight_decay", 0)
    if not isinstance(decay, Tensor) and not decay:
        return 0.0
    if isinstance(optimizer, SGD):
        momentum: float = group["momentum"]
        return lr * decay * ((1 - group["dampening"]) / (1 - momentum) if momentum else 1)
    rule = group_rule([kind.__name__ for kind in type(optimizer).__mro__], group)
    if rule.decays and rule.scaling != "gradient":
        return lr * decay
    if rule.equilibrium == "sgdw":
        return lr * decay
    raise UserError(
        f"{type(optimizer).__name__} mixes weight decay into the gradient before it divides, so "
        "decay has no radial part to keep: use decoupled decay (AdamW), or weight_decay=0"
    )


def _inner(step: Tensor, weights: Tensor) -> Tensor:
    """⟨step, weights⟩, two tensors of one layout, at least in float32."""
    order = sorted(range(weights.dim()), key=weights.stride, reverse=True)
    wide = torch.promote_types(weights.dtype, torch.float32)
    first, second = (t.permute(order).flatten().to(wide) for t in (step, weights))
    return torch.dot(first, second)
