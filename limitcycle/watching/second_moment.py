"""How large Adam's second moment is: where it lags behind the gradient, steps are too long.

Adam divides by √v̂, a mean of past squared gradients. After a calm time v̂ is small, and the first
large gradients are divided by too little (Cohen et al. 2022, Molybog et al. 2023 see loss spikes
that begin so). What is recorded is Σg² ÷ Σv̂ over the weights of a group: below 1 while gradients
shrink, far above where they grow at once.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from limitcycle.measure import Together, is_partial
from limitcycle.sharded import local
from limitcycle.watching.groups import Watched

_KEY = "exp_avg_sq"  # in the state of Adam, AdamW, NAdam, RAdam, LAMB, AdamP, …


class _Kept(NamedTuple):
    """The second moment of one tensor: its group, β₂ and the optimizer's state of it."""

    owner: int
    beta: float
    state: Mapping[str, Any]


def second_moments(
    groups: Sequence[Watched], movers: Together, dtype: torch.dtype
) -> Tensor | None:
    """Σ v̂ of each group after a step, shape (groups,), on its device; NaN in a group without one.

    v̂ is the second moment with Adam's correction for its start at zero. None where no optimizer
    keeps one as a tensor of the weights' shape.
    """
    kept = _kept(groups, movers)
    if not kept:
        return None
    moments = [local(each.state[_KEY]) for each in kept]
    sums = torch.stack(torch._foreach_norm(moments, 1)).to(dtype)  # they are not negative
    steps = torch.stack([torch.as_tensor(each.state["step"]) for each in kept])
    betas = torch.tensor([each.beta for each in kept], dtype=dtype, device=sums.device)
    corrected = sums / (1 - betas ** steps.to(sums.device, dtype))
    total = sums.new_full((len(groups),), torch.nan)
    owners = torch.tensor([each.owner for each in kept], device=sums.device)
    total[owners] = 0
    return total.index_add_(0, owners, corrected)


def _kept(groups: Sequence[Watched], movers: Together) -> list[_Kept]:
    settings = movers.param_groups
    states = [member.state for member in movers.members if not is_partial(member)]
    found = []
    for owner, group in enumerate(groups):
        for tensor, slot in zip(group.tensors, group.settings, strict=True):
            state: Mapping[str, Any] = next((s[tensor] for s in states if tensor in s), {})
            moment, betas = state.get(_KEY), settings[slot].get("betas")
            if betas is None or "step" not in state or not isinstance(moment, Tensor):
                continue
            if moment.shape == tensor.shape and moment.device == tensor.device:
                found.append(_Kept(owner, float(betas[1]), state))
    return found
