"""What is known of optimizers, as data by the name of their class; the one list of them.

How the update scales decides what the effective learning rate is, whether weight decay shrinks the
norm by ηλ a step, and where theory lets the norm rest. How an optimizer's *state* scales, which has
to be known to move it, is in `limitcycle.control.degrees`, under the same names.

Each line was checked with the optimizer itself, where there is one for the CPU: how its turn of
random gradients changes with the norm, and what weight decay adds to one step
(`python -m benchmarks.rotation`).
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from limitcycle.theory import (
    adamw_equilibrium_norm,
    adamw_equilibrium_rotation,
    lion_persistence,
    muon_persistence,
    muon_size,
    persistent_rest,
    sgd_equilibrium_norm,
    sgd_equilibrium_rotation,
    sgdw_equilibrium_norm,
)

Array = NDArray[np.float64]
Scaling = Literal["gradient", "normalised", "weights", "unknown", "several"]
Decay = Literal["gradient", "weights", "own"]
Equilibrium = Literal["sgd", "sgdw", "adamw", "lion", "muon", ""]


class Optimizer(NamedTuple):
    """A class of optimizers.

    Attributes:
        scaling: ``gradient``: the update is proportional to the gradient; ``normalised``: its
            length does not depend on the gradient's; ``weights``: it grows with the weights
            instead, so that the angle does not depend on their norm; ``unknown``.
        decay: weight decay is added to the ``gradient``; or it shrinks the ``weights`` by ηλ;
            or by a factor of its ``own``. Some classes leave the choice of the first two to a
            setting of their parameter groups.
        equilibrium: whose formula says where the norm rests, where weight decay shrinks it by ηλ.
    """

    scaling: Scaling
    decay: Decay = "gradient"
    equilibrium: Equilibrium = ""


# Not here are those whose own step rule mixes both (Adadelta, Rprop, CAME, MADGRAD), those that
# find their learning rate themselves (Prodigy), and all that nobody told us of.
OPTIMIZERS: Mapping[str, Optimizer] = {
    "SGD": Optimizer("gradient", equilibrium="sgd"),
    "AdamW": Optimizer("normalised", "weights", "adamw"),
    "Adam": Optimizer("normalised", equilibrium="adamw"),
    "NAdam": Optimizer("normalised"),
    "RAdam": Optimizer("normalised"),
    "Adamax": Optimizer("normalised"),
    "Adagrad": Optimizer("normalised"),
    "RMSprop": Optimizer("normalised"),
    "Adafactor": Optimizer("weights", "weights"),
    "AdaFactor": Optimizer("weights", "weights"),
    "Muon": Optimizer("normalised", "weights", "muon"),
    "MuonWithAuxAdam": Optimizer("normalised", "weights", "muon"),
    "SingleDeviceMuon": Optimizer("normalised", "weights", "muon"),
    "SingleDeviceMuonWithAuxAdam": Optimizer("normalised", "weights", "muon"),
    "Lion": Optimizer("normalised", "weights", "lion"),
    # Theirs is added to the step that is then brought to the weights' length; a setting, or
    # bitsandbytes, shrinks the weights instead.
    "LAMB": Optimizer("weights"),
    "Lamb": Optimizer("weights"),
    "LARS": Optimizer("weights"),
    "Lars": Optimizer("weights"),
    "Adan": Optimizer("normalised", "weights"),
    "AdamP": Optimizer("normalised", "own"),  # a tenth of it where the radial part is taken out
    "SGDP": Optimizer("gradient", "own"),
    "NAdamW": Optimizer("normalised", "weights"),
    "LaProp": Optimizer("normalised", "weights", "adamw"),
    "AdEMAMix": Optimizer("normalised", "weights"),
    "SOAP": Optimizer("normalised", "weights", "adamw"),
    "Shampoo": Optimizer("normalised"),
    "StableAdamW": Optimizer("normalised", "weights", "adamw"),
    "AdaBelief": Optimizer("normalised", "weights"),
    "ADOPT": Optimizer("normalised"),
    # What is decayed is the sequence z; the weights get a part of it, and the rest by and by.
    "AdamWScheduleFree": Optimizer("normalised", "own"),
    "RAdamScheduleFree": Optimizer("normalised", "own"),
    "SGDScheduleFree": Optimizer("gradient", "own"),
    "ScheduleFreeAdamW": Optimizer("normalised", "own"),
    "ScheduleFreeRAdam": Optimizer("normalised", "own"),
    "ScheduleFreeSGD": Optimizer("gradient", "own"),
    "SGDW": Optimizer("gradient", "weights", "sgdw"),
}
"""The most special class first, where one is derived from another."""

CARRIED = frozenset({"SGD", "Adam", "AdamW", "NAdam", "Adamax", "Adagrad", "RMSprop", "Lion"})
"""Classes whose state can be moved with the weights (`limitcycle.control.degrees`)."""

# Settings by which classes are told that weight decay shrinks the weights.
_DECOUPLED = ("decoupled_weight_decay", "weight_decouple", "decoupled_decay", "decouple")
# A name of OPTIMIZERS in a class of few bits (bitsandbytes, torchao).
_FEW_BITS = re.compile(r"(?:Paged)?(\w+?)(?:4bit|8bit|32bit|Fp8)?(?:BlockWise)?")
_OF_BITSANDBYTES = "Optimizer8bit"  # what all of its classes are derived from
_IN_ITS_GRADIENT = ("RMSprop", "Adagrad", "LARS")  # there; its others shrink the weights


class Extent(NamedTuple):
    """Tensors that are measured as one.

    Attributes:
        entries: number of weights.
        shapes: of the tensors.
    """

    entries: int
    shapes: tuple[tuple[int, ...], ...]

    def matrices(self) -> list[tuple[int, int]]:
        """Rows and columns of each tensor; a column where it has but one axis."""
        return [(shape[0] if shape else 1, math.prod(shape[1:])) for shape in self.shapes]


@dataclass(frozen=True)
class UpdateRule:
    """How the update of one optimizer, with its settings, depends on gradient and weights.

    Attributes:
        name: of its class.
        scaling: as of `Optimizer`; ``several`` where tensors follow different rules.
        decays: weight decay shrinks the weights by ηλ a step; not so where it is added to a
            gradient that is normalised afterwards (Adam with L2), or has a factor of its own.
        nesterov: the step looks ahead.
        equilibrium: whose formula applies; "" where theory is silent.
        beta: β₂ of Lion's running mean.
        sized: how the length of a step goes by the tensor's shape, as Muon's ``adjust_lr_fn``
            says; "" where it does not, ``unknown`` where nobody says.
        slows: the t-th step takes 1/√t where that is smaller than the learning rate.
        made: steps that were made before the one of row 0; it counts where the rule slows.
    """

    name: str
    scaling: Scaling
    decays: bool
    nesterov: bool
    equilibrium: Equilibrium
    beta: float = 0.0
    sized: str = ""
    slows: bool = False
    made: int = 0

    def effective_lr(
        self,
        lr: Array,
        norm: Array,
        unit: Array | float = 1.0,
        step: NDArray[Any] | int = 0,
    ) -> Array:
        """η/ρ² where the update scales with the gradient, η/ρ where its length is η's, η where it
        grows with the weights; NaN where that is not known.

        Args:
            lr, norm: η and ρ.
            unit: root mean square of an update's entries over η; see `units`.
            step: the number of each row, from 0 on; it counts where the rule slows.
        """
        if self.slows:
            lr = np.minimum(lr, 1 / np.sqrt(np.asarray(step) + self.made + 1))
        if self.scaling in ("unknown", "several"):
            return np.full(lr.shape, np.nan)
        if self.scaling == "weights":
            return lr
        with np.errstate(all="ignore"):
            return lr / norm**2 if self.scaling == "gradient" else unit * lr / norm

    def units(self, extents: Sequence[Extent]) -> Array:
        """By what a learning rate is multiplied to be an update's size per entry, (S,).

        Muon makes a matrix orthogonal: a step of it is √min(A, B) long, whatever its A·B entries
        are, times what ``adjust_lr_fn`` says. 1 for other optimizers, and where it is not known,
        so that a rate says how it changes, but does not compare between tensors.
        """
        if not self.sized or self.sized == "unknown":
            return np.ones(len(extents))
        squared = [sum(self._orthogonal(each)) for each in extents]
        return np.sqrt(np.array(squared) / [each.entries for each in extents])

    def _orthogonal(self, extent: Extent) -> list[float]:
        """‖O‖² of each tensor's orthogonal update, as long as its learning rate is adjusted."""
        return [
            min(shape) * _adjusted(self.sized, shape) ** 2 if min(shape) > 0 else math.nan
            for shape in extent.matrices()
        ]

    def rest(
        self,
        lr: Array,
        weight_decay: Array,
        momentum: Array,
        gradient: Array,
        extents: Sequence[Extent],
    ) -> tuple[Array, Array]:
        """Norm and rotation (radians) at which theory lets weights rest; NaN where it is silent.

        Args:
            lr, weight_decay: η and λ, (T, S): of S sets of weights, row by row.
            momentum: μ of SGD and Muon, β₁ of the Adam family, (T, S).
            gradient: effective gradient norm g̃, (T, S).
            extents: of the S sets.
        """
        norm, rotation = np.full((2, *gradient.shape), np.nan)
        product = lr * weight_decay
        known = (product > 0) & (product < 1) & np.isfinite(gradient)
        if not (self.equilibrium and known.any()):
            return norm, rotation
        if self.equilibrium in ("lion", "muon"):
            for number, extent in enumerate(extents):
                here = known[:, number]
                eta, lam, mu = (each[here, number] for each in (lr, weight_decay, momentum))
                found = self._persistent(eta, lam, mu, extent)
                norm[here, number], rotation[here, number] = found
            return norm, rotation
        eta, lam, mu = (setting[known] for setting in (lr, weight_decay, momentum))
        if self.equilibrium == "sgd":
            norm[known] = sgd_equilibrium_norm(gradient[known], eta, lam, mu)
            rotation[known] = sgd_equilibrium_rotation(eta, lam, mu, nesterov=self.nesterov)
        elif self.equilibrium == "sgdw":
            norm[known] = sgdw_equilibrium_norm(gradient[known], eta, lam, mu)
            inner = sgd_equilibrium_rotation(eta, lam, mu, nesterov=self.nesterov)
            rotation[known] = inner * np.sqrt(1 - mu)  # it decays 1 − μ times as fast
        else:
            entries = np.array([each.entries for each in extents])
            weights = np.broadcast_to(entries, gradient.shape)[known]
            norm[known] = adamw_equilibrium_norm(weights, eta, lam)
            rotation[known] = adamw_equilibrium_rotation(eta, lam, mu)
        return norm, rotation

    def _persistent(
        self, eta: Array, lam: Array, momentum: Array, extent: Extent
    ) -> tuple[Array, Array]:
        """Norm and rotation at rest where updates are normalised after averaging, (T,)."""
        if self.equilibrium == "lion":
            kept = _each(momentum, lambda beta: lion_persistence(beta, self.beta))
            return persistent_rest(eta, lam, [float(extent.entries)], [kept])
        shapes = extent.matrices()
        of_one_shape = len(set(shapes)) == 1
        if min(min(shape) for shape in shapes) < 1 or (
            self.sized == "unknown" and not of_one_shape
        ):
            silent = np.full(eta.shape, np.nan)
            return silent, silent
        squared = [_adjusted(self.sized, each) ** 2 * muon_size(each)[0] for each in shapes]
        kept_by = [
            _each(momentum, lambda mu, each=each: muon_persistence(each, mu, self.nesterov))
            for each in shapes
        ]
        norm, rotation = persistent_rest(eta, lam, squared, kept_by)
        return norm if self.sized != "unknown" else np.full(eta.shape, np.nan), rotation

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
        classes: names of its class and of the classes that this is derived from. Eight-bit and
            paged ones are known by the name of what they are a version of.
    """
    plain = [_FEW_BITS.fullmatch(name) for name in classes]
    there = {match[1] for match in plain if match}
    return [name for name in OPTIMIZERS if name in there]


def has_own_state(classes: Sequence[str]) -> bool:
    """Whether an optimizer moves as the one of that name does, but keeps another state for it.

    Args:
        classes: as of `update_rule`.
    """
    plain = _FEW_BITS.fullmatch(classes[0])
    return _OF_BITSANDBYTES in classes or plain is None or plain[1] != classes[0]


def update_rule(classes: Sequence[str], settings: Sequence[Mapping[str, Any]]) -> UpdateRule:
    """What is known of an optimizer, by the settings of all its parameter groups.

    Args:
        classes: the name of its class, then of those that it is derived from.
        settings: of its parameter groups.
    """
    return joint_rule([group_rule(classes, group) for group in settings])


def group_rule(classes: Sequence[str], group: Mapping[str, Any], made: int = 0) -> UpdateRule:
    """What is known of how an optimizer moves one of its parameter groups.

    Args:
        classes: as of `update_rule`.
        group: the settings of the parameter group.
        made: as of `UpdateRule`.
    """
    names = known_names(classes)
    name = names[0] if names else ""
    if group.get("use_muon") is False:  # an AdamW beside Muon, in the same optimizer
        name = "AdamW"
    known = OPTIMIZERS[name] if name else Optimizer("unknown")
    if "scale_parameter" in group:  # Adafactor of Transformers
        known = _adafactor(bool(group["scale_parameter"]))
    if _OF_BITSANDBYTES in classes and known.scaling == "weights":
        known = Optimizer("unknown", known.decay)  # its LAMB and LARS of eight bits trust no ratio
    decay = _decay(known.decay, name, classes, group)
    decays = decay == "weights" or (decay == "gradient" and known.scaling == "gradient")
    equilibrium = known.equilibrium if decays else ""
    beta = _second(group.get("betas")) if equilibrium == "lion" else 0.0
    if equilibrium == "lion" and not beta:  # somebody else's, with other settings
        equilibrium = ""
    return UpdateRule(
        name=classes[0],
        scaling=known.scaling,
        decays=decays,
        nesterov=bool(group.get("nesterov")),
        equilibrium=equilibrium,
        beta=beta,
        sized=_sized(group) if known.equilibrium == "muon" else "",
        slows=name == "Adafactor" and "beta2_decay" in group,  # torch's
        made=made,
    )


def joint_rule(rules: Sequence[UpdateRule]) -> UpdateRule:
    """The rule of tensors that are measured as one: theirs, or that they have several."""
    distinct = list(dict.fromkeys(rules))
    if len(distinct) == 1:
        return distinct[0]
    alike = {(rule.scaling, rule.sized) for rule in distinct}
    scaling, sized = alike.pop() if len(alike) == 1 else ("several", "")
    return UpdateRule(
        name=" and ".join(dict.fromkeys(rule.name for rule in distinct)),
        scaling=scaling,
        decays=all(rule.decays for rule in distinct),
        nesterov=False,
        equilibrium="",
        sized=sized,
    )


def _decay(usual: Decay, name: str, classes: Sequence[str], group: Mapping[str, Any]) -> Decay:
    """What weight decay does, by the settings that say so."""
    if usual == "own" or group.get("fixed_decay"):  # by λ, not by ηλ
        return "own"
    if _OF_BITSANDBYTES in classes and name not in _IN_ITS_GRADIENT:
        return "weights"
    said = [bool(group[key]) for key in _DECOUPLED if group.get(key) is not None]
    if any(said):
        return "weights"
    # Adan has a setting of that name for how it shrinks the weights.
    return "gradient" if said and name != "Adan" else usual


def _sized(group: Mapping[str, Any]) -> str:
    """How Muon's step goes by the shape, by torch's name of it."""
    named = group.get("adjust_lr_fn", "unknown")
    if named is None:
        return "original"
    return named if named in ("original", "match_rms_adamw") else "unknown"


def _adjusted(sized: str, shape: tuple[int, int]) -> float:
    """By what Muon multiplies the learning rate of a matrix."""
    if sized == "original":
        return math.sqrt(max(1.0, shape[0] / shape[1]))
    return 0.2 * math.sqrt(max(shape)) if sized == "match_rms_adamw" else 1.0


def _second(betas: Any) -> float:
    try:
        return float(betas[1])
    except (TypeError, ValueError, IndexError, KeyError):  # somebody else's Lion
        return 0.0


def _each(values: Array, function: Any) -> Array:
    """``function`` of each number, called once for those that are equal."""
    different, places = np.unique(values, return_inverse=True)
    return np.array([function(float(value)) for value in different])[places]


def _adafactor(scaled: bool) -> Optimizer:
    """Adafactor where scaling is a setting, and weight decay is scaled with the step."""
    return Optimizer("weights", "own") if scaled else Optimizer("normalised", "weights")


def momentum_of(settings: Mapping[str, Any]) -> Any:
    """μ of SGD, β₁ of the Adam family, 0 where a parameter group has neither."""
    if "momentum" in settings:
        return settings["momentum"]
    return (settings.get("betas") or (0.0,))[0]
