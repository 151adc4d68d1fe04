"""Changing the dynamics: what the length of scale-invariant weights does to their learning.

A scale-invariant group learns in its direction only, and its norm ρ sets how fast: f(α^k∘w) = f(w)
and ∇f(α^k∘w) = α^{−k}∘∇f(w), Eq. (2). Four controls, all of them optimizer hooks with a handle:

- `hold`: the norm, or the effective learning rate, stays where it is wanted;
- `radial`: the step loses what it does to the norm, but for weight decay (AdamP and SGDP);
- `decay`: weight decay follows the learning rate, so the resting norm stays put (AdamC).

They stand on `orbits` (the groups as an optimizer's tensors, and the way along α ↦ α^k∘w),
`degrees` (how each optimizer's state changes on it) and `handle`. `sphere` is the lab's own.
`split` gives scale-invariant tensors param groups of their own.
"""

from limitcycle.control.decay import DecayWithLR, decay_with_lr, following_decay
from limitcycle.control.handle import Handle
from limitcycle.control.hold import Hold, hold_effective_lr, hold_norm
from limitcycle.control.radial import RadialFree, radial_free, without_radial
from limitcycle.control.sphere import project
from limitcycle.control.split import split_groups

__all__ = [
    "DecayWithLR",
    "Handle",
    "Hold",
    "RadialFree",
    "decay_with_lr",
    "following_decay",
    "hold_effective_lr",
    "hold_norm",
    "project",
    "radial_free",
    "split_groups",
    "without_radial",
]
