"""Training on the unit sphere, written plainly in float64: what holding a norm must equal.

x lies on the product of unit spheres of the groups (one sphere for all where they are joint), the
tensors beside it are free. A group held at norm ρ learns, on its unit sphere, with the learning
rate, decay and eps of Proposition 4 (SGD) and of docs/control.md (the others).
"""

import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from tests.control.nets import loss_of


def sgd_update(state, gradient, x, s, rho):
    """Heavy ball: rate η/ρ², decay λρ²."""
    gradient = gradient + s["weight_decay"] * rho**2 * x
    mu = s.get("momentum", 0.0)
    state["v"] = gradient if "v" not in state else mu * state["v"] + gradient
    forward = gradient + mu * state["v"] if s.get("nesterov") else state["v"]
    return x - s["lr"] / rho**2 * (forward if mu else gradient)


def adam_update(state, gradient, x, s, rho):
    """Adam: rate η/ρ, eps·ρ; decay λρ² in the gradient, or 1 − ηλ where it is decoupled."""
    if s["decoupled"]:
        x = (1 - s["lr"] * s["weight_decay"]) * x
    else:
        gradient = gradient + s["weight_decay"] * rho**2 * x
    first, second = 0.9, 0.99
    t = state["t"] = state.get("t", 0) + 1
    state["m"] = first * state.get("m", 0) + (1 - first) * gradient
    state["s"] = second * state.get("s", 0) + (1 - second) * gradient**2
    m, v = state["m"] / (1 - first**t), state["s"] / (1 - second**t)
    return x - s["lr"] / rho * m / (v.sqrt() + s["eps"] * rho)


def rmsprop_update(state, gradient, x, s, rho):
    """RMSprop with momentum on the normalised step: rate η/ρ, eps·ρ, decay λρ²."""
    gradient = gradient + s["weight_decay"] * rho**2 * x
    state["s"] = 0.99 * state.get("s", 0) + 0.01 * gradient**2
    state["b"] = s["momentum"] * state.get("b", 0) + gradient / (state["s"].sqrt() + s["eps"] * rho)
    return x - s["lr"] / rho * state["b"]


def on_the_sphere(net, groups, update, settings, radii, rates) -> list[list[Tensor]]:
    """Directions of ``groups`` (lists of parameters) after each step.

    ``radii``: one list a step, the norm of each group. The net's tensors are overwritten.
    """
    spheres = [parameters_to_vector(group).detach() for group in groups]
    spheres = [x / x.norm() for x in spheres]
    free = [p for p in net.parameters() if not any(p is q for group in groups for q in group)]
    states: list[dict] = [{} for _ in groups]
    free_states: list[dict] = [{} for _ in free]
    directions = []
    for step, (rho, rate) in enumerate(zip(radii, rates, strict=True)):
        for group, x in zip(groups, spheres, strict=True):
            vector_to_parameters(x, group)
        everything = [*(p for group in groups for p in group), *free]
        gradients = iter(torch.autograd.grad(loss_of(net, step), everything))
        s = {**settings, "lr": rate}
        for number, group in enumerate(groups):
            g = torch.cat([next(gradients).flatten() for _ in group])
            x = update(states[number], g, spheres[number], s, rho[number])
            spheres[number] = x / x.norm()
        with torch.no_grad():
            for state, p in zip(free_states, free, strict=True):
                p.copy_(update(state, next(gradients), p.detach(), s, 1.0))
        directions.append([x.clone() for x in spheres])
    return directions
