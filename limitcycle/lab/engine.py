"""The engine: one pure function that makes one update of Eq. (1) and measures it.

``step(net, state, batch, hyper) -> (state, row)``. State is a flat dictionary of tensors, the
hyperparameters are tensors, the row stays on the device. Which batch, which learning rate, what is
kept: all of that is decided outside.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from limitcycle.control import project
from limitcycle.lab.functional import Differentiate, FunctionalNet, State, differentiate
from limitcycle.measure import step_scalars

Hyper = Mapping[str, Tensor]


def step(
    net: FunctionalNet,
    state: State,
    batch: tuple[Tensor, Tensor],
    hyper: Hyper,
    derivative: Differentiate = differentiate,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """x_{t+1} = (1 − ηλ)x_t − η∇f(x_t), Eq. (1); with momentum μ: x_{t+1} = x_t − η·v_t,
    v_t = μ·v_{t−1} + ∇f(x_t) + λx_t (PyTorch's convention).

    Args:
        net: the network.
        state: ``weights``, ``frozen``, ``stats``; ``momentum`` (v_{t−1}) where there is one.
        batch: images (N, C, H, W) and labels (N,).
        hyper: scalar tensors ``lr`` η and ``weight_decay`` λ; ``momentum`` μ where the state has
            it; ``norm`` where the leading weights are held at this joint norm (Figure 4).
        derivative: how the gradient is taken.

    Returns:
        The next state, and the row of this step at x_t: ``loss`` (nats) and ``wrong`` answers
        (count) of the batch, and the scalars of `limitcycle.measure.step_scalars` for the leading
        weights. The arguments stay as they were.
    """
    weights = state["weights"]
    here = derivative(net, state, *batch)
    update = torch.addcmul(here.gradient, weights, hyper["weight_decay"])
    following = {**state, "stats": here.stats}
    moving = "momentum" in state
    if moving:
        update = following["momentum"] = torch.addcmul(update, state["momentum"], hyper["momentum"])
    following["weights"] = torch.addcmul(weights, update, hyper["lr"], value=-1)
    if "norm" in hyper:
        following["weights"] = _hold(following["weights"], net.leading, hyper["norm"])
    vectors = [weights, here.gradient, *([update] if moving else [])]
    if net.leading < len(weights):
        vectors = [vector[: net.leading] for vector in vectors]
    wrong = (here.logits.argmax(1) != batch[1]).sum()
    return following, {"loss": here.loss, "wrong": wrong, **step_scalars(*vectors)}


def _hold(weights: Tensor, leading: int, norm: Tensor) -> Tensor:
    """The leading weights scaled to ``norm``, the others as they are."""
    return torch.cat([project(weights[:leading], norm), weights[leading:]])
