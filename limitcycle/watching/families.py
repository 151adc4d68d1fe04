"""What is known of an optimizer: how its update scales, its momentum, where its norm would rest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer

from limitcycle.control.families import family_of as degrees_of
from limitcycle.theory import (
    adamw_equilibrium_norm,
    adamw_equilibrium_rotation,
    sgd_equilibrium_norm,
    sgd_equilibrium_rotation,
)

Array = NDArray[np.float64]
Scaling = Literal["gradient", "normalised", "unknown"]

# By name, for those of which `control` does not know how their state scales. Not here are those
# whose own step rule mixes both (Adadelta, Rprop) and all that nobody told us of.
_NORMALISED = {"RAdam", "Adafactor", "Muon", "LAMB", "Lamb", "Adan"}
_DECOUPLED = {"AdamW", "Lion", "Muon", "Adafactor"}


@dataclass(frozen=True)
class Hyper:
    """Settings of S sets of groups, row by row; each array (T, S), NaN where tensors disagree.

    Attributes:
        lr, weight_decay: η and λ.
        momentum: μ of SGD, β₁ of the Adam family; 0 where there is none.
    """

    lr: Array
    weight_decay: Array
    momentum: Array


@dataclass(frozen=True)
class Family:
    """How an optimizer's update depends on gradient and weights.

    Attributes:
        name: of its class.
        scaling: ``gradient``: the update is proportional to the gradient; ``normalised``: its
            length does not depend on the gradient's; ``unknown``.
        decays: weight decay shrinks the weights by ηλ a step; not so where it is added to a
            gradient that is normalised afterwards (Adam with L2).
        nesterov: the step looks ahead.
        adamw: the equilibrium of AdamW applies.
    """

    name: str
    scaling: Scaling
    decays: bool
    nesterov: bool
    adamw: bool

    def effective_lr(self, lr: Array, norm: Array) -> Array:
        """η/ρ² where the update scales with the gradient, η/ρ where it does not, else NaN."""
        if self.scaling == "unknown":
            return np.full(lr.shape, np.nan)
        with np.errstate(all="ignore"):
            return lr / norm**2 if self.scaling == "gradient" else lr / norm

    def equilibrium(
        self, hyper: Hyper, gradient: Array, entries: NDArray[np.int64]
    ) -> tuple[Array, Array]:
        """Norm and rotation (radians) at which theory lets weights rest; NaN where it is silent.

        Args:
            hyper: the settings, (T, S).
            gradient: effective gradient norm g̃, (T, S).
            entries: number of weights, (S,).
        """
        norm, rotation = np.full((2, *gradient.shape), np.nan)
        product = hyper.lr * hyper.weight_decay
        known = (product > 0) & (product < 1) & np.isfinite(gradient)
        if not (self.decays and known.any()):
            return norm, rotation
        eta, lam, mu = (getattr(hyper, name)[known] for name in ("lr", "weight_decay", "momentum"))
        if self.scaling == "gradient":
            norm[known] = sgd_equilibrium_norm(gradient[known], eta, lam, mu)
            rotation[known] = sgd_equilibrium_rotation(eta, lam, mu, nesterov=self.nesterov)
        elif self.adamw:
            weights = np.broadcast_to(entries, gradient.shape)[known]
            norm[known] = adamw_equilibrium_norm(weights, eta, lam)
            rotation[known] = adamw_equilibrium_rotation(eta, lam, mu)
        return norm, rotation


def family_of(optimizer: Optimizer) -> Family:
    """What is known of ``optimizer``, by its class and its settings."""
    names = {kind.__name__ for kind in type(optimizer).__mro__}
    settings = optimizer.param_groups
    decoupled = bool(names & _DECOUPLED) or any(
        group.get("decoupled_weight_decay") for group in settings
    )
    scaling = _scaling(optimizer, names)
    return Family(
        name=type(optimizer).__name__,
        scaling=scaling,
        decays=decoupled or scaling == "gradient",
        nesterov=any(group.get("nesterov") for group in settings),
        adamw=decoupled and bool(names & {"AdamW", "Adam"}),
    )


def _scaling(optimizer: Optimizer, names: set[str]) -> Scaling:
    degrees = degrees_of(optimizer)  # along w → αw a gradient has −1
    if degrees is not None:
        return "gradient" if degrees.update == -1 else "normalised"
    return "normalised" if names & _NORMALISED else "unknown"


def settings_of(group: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Learning rate, weight decay and momentum (or β₁) of an optimizer's parameter group.

    A setting may be a tensor on the device; it is copied, not read.
    """
    lr, weight_decay, momentum = (
        group["lr"],
        group.get("weight_decay", 0.0),
        group["momentum"] if "momentum" in group else (group.get("betas") or (0.0,))[0],
    )
    return _kept(lr), _kept(weight_decay), _kept(momentum)


def _kept(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value
