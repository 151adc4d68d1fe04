"""What is known of optimizers, as data by the name of their class; the one list of them.

How the update scales decides what the effective learning rate is, whether weight decay shrinks the
norm by ηλ a step, and where theory lets the norm rest. How an optimizer's *state* scales, which has
to be known to move it, is in `limitcycle.control.degrees`, under the same names.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from limitcycle.theory import (
    adamw_equilibrium_norm,
    adamw_equilibrium_rotation,
    sgd_equilibrium_norm,
    sgd_equilibrium_rotation,
)

Array = NDArray[np.float64]
Scaling = Literal["gradient", "normalised", "weights", "unknown"]
Equilibrium = Literal["sgd", "adamw", ""]


class Optimizer(NamedTuple):
    """A class of optimizers.

    Attributes:
        scaling: ``gradient``: the update is proportional to the gradient; ``normalised``: its
            length does not depend on the gradient's; ``weights``: it grows with the weights
            instead, so that the angle does not depend on their norm; ``unknown``.
        decoupled: weight decay is applied to the weights themselves, not added to the gradient;
            some classes leave that to a setting of their parameter groups.
        equilibrium: whose formula says where the norm rests, where weight decay shrinks it by ηλ.
    """

    scaling: Scaling
    decoupled: bool = False
    equilibrium: Equilibrium = ""


# Not here are those whose own step rule mixes both (Adadelta, Rprop), those that scale weight decay
# by a factor of their own (SGDP), and all that nobody told us of.
OPTIMIZERS: Mapping[str, Optimizer] = {
    "SGD": Optimizer("gradient", equilibrium="sgd"),
    "AdamW": Optimizer("normalised", decoupled=True, equilibrium="adamw"),
    "Adam": Optimizer("normalised", equilibrium="adamw"),
    "NAdam": Optimizer("normalised"),
    "RAdam": Optimizer("normalised"),
    "Adamax": Optimizer("normalised"),
    "Adagrad": Optimizer("normalised"),
    "RMSprop": Optimizer("normalised"),
    "Adafactor": Optimizer("weights", decoupled=True),
    "Muon": Optimizer("normalised", decoupled=True),
    "Lion": Optimizer("normalised", decoupled=True),
    "LAMB": Optimizer("weights"),
    "Lamb": Optimizer("weights"),
    "LARS": Optimizer("weights"),
    "Lars": Optimizer("weights"),
    "Adan": Optimizer("normalised"),
    "AdamP": Optimizer("normalised"),
    "NAdamW": Optimizer("normalised", decoupled=True),
    "LaProp": Optimizer("normalised"),
    "AdEMAMix": Optimizer("normalised"),
    "SOAP": Optimizer("normalised", decoupled=True),
    "StableAdamW": Optimizer("normalised"),
    "AdamWScheduleFree": Optimizer("normalised"),
    "SGDW": Optimizer("gradient", decoupled=True),
}
"""The most special class first, where one is derived from another."""


@dataclass(frozen=True)
class UpdateRule:
    """How the update of one optimizer, with its settings, depends on gradient and weights.

    Attributes:
        name: of its class.
        scaling: as of `Optimizer`.
        decays: weight decay shrinks the weights by ηλ a step; not so where it is added to a
            gradient that is normalised afterwards (Adam with L2).
        nesterov: the step looks ahead.
        equilibrium: whose formula applies; "" where theory is silent.
    """

    name: str
    scaling: Scaling
    decays: bool
    nesterov: bool
    equilibrium: Equilibrium

    def effective_lr(self, lr: Array, norm: Array) -> Array:
        """η/ρ² where the update scales with the gradient, η/ρ where its length is η's, η where it
        grows with the weights; NaN where that is not known."""
        if self.scaling == "unknown":
            return np.full(lr.shape, np.nan)
        if self.scaling == "weights":
            return lr
        with np.errstate(all="ignore"):
            return lr / norm**2 if self.scaling == "gradient" else lr / norm

    def rest(
        self, lr: Array, weight_decay: Array, momentum: Array, gradient: Array, entries: Array
    ) -> tuple[Array, Array]:
        """Norm and rotation (radians) at which theory lets weights rest; NaN where it is silent.

        Args:
            lr, weight_decay: η and λ, (T, S): of S sets of weights, row by row.
            momentum: μ of SGD, β₁ of the Adam family, (T, S).
            gradient: effective gradient norm g̃, (T, S).
            entries: number of weights, (S,).
        """
        norm, rotation = np.full((2, *gradient.shape), np.nan)
        product = lr * weight_decay
        known = (product > 0) & (product < 1) & np.isfinite(gradient)
        if not (self.equilibrium and known.any()):
            return norm, rotation
        eta, lam, mu = (setting[known] for setting in (lr, weight_decay, momentum))
        if self.equilibrium == "sgd":
            norm[known] = sgd_equilibrium_norm(gradient[known], eta, lam, mu)
            rotation[known] = sgd_equilibrium_rotation(eta, lam, mu, nesterov=self.nesterov)
        else:
            weights = np.broadcast_to(entries, gradient.shape)[known]
            norm[known] = adamw_equilibrium_norm(weights, eta, lam)
            rotation[known] = adamw_equilibrium_rotation(eta, lam, mu)
        return norm, rotation

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            TypeError: no such content.
        """
        return cls(**content)


def known_names(classes: Iterable[str]) -> list[str]:
    """Under which names of `OPTIMIZERS` an optimizer is known, the most special first.

    Args:
        classes: names of its class and of the classes that this is derived from.
    """
    there = set(classes)
    return [name for name in OPTIMIZERS if name in there]


def update_rule(classes: Sequence[str], settings: Sequence[Mapping[str, Any]]) -> UpdateRule:
    """What is known of an optimizer.

    Args:
        classes: the name of its class, then of those that it is derived from.
        settings: of its parameter groups.
    """
    found = [OPTIMIZERS[name] for name in known_names(classes)]
    known = found[0] if found else Optimizer("unknown")
    if any("scale_parameter" in group for group in settings):  # Adafactor of Transformers
        known = _adafactor(bool(settings[0]["scale_parameter"]))
    decoupled = known.decoupled or any(group.get("decoupled_weight_decay") for group in settings)
    decays = decoupled or known.scaling == "gradient"
    return UpdateRule(
        name=classes[0],
        scaling=known.scaling,
        decays=decays,
        nesterov=any(bool(group.get("nesterov")) for group in settings),
        equilibrium=known.equilibrium if decays else "",
    )


def _adafactor(scaled: bool) -> Optimizer:
    """Adafactor where scaling is a setting, and weight decay is scaled with the step."""
    return Optimizer("weights") if scaled else Optimizer("normalised", decoupled=True)


def momentum_of(settings: Mapping[str, Any]) -> Any:
    """μ of SGD, β₁ of the Adam family, 0 where a parameter group has neither."""
    if "momentum" in settings:
        return settings["momentum"]
    return (settings.get("betas") or (0.0,))[0]
