"""Holding a norm, or an effective learning rate: training on the sphere.

Two different things happen around a step. *Before* it, where this step's sphere is another than the
last one's, weights, gradient and optimizer state move along the orbit together: by Eq. (2) that is
a change of units, in which nothing happens but that the effective learning rate is another one
(`degrees` knows the powers). *After* it the weights alone are scaled back to the sphere; the state
stays as it is, because all that it holds was measured on that sphere. docs/control.md derives both.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from limitcycle.control.degrees import carried_state, known_degrees
from limitcycle.control.handle import Handle, controllable
from limitcycle.control.orbits import Orbits, Per, column, find_orbits
from limitcycle.errors import UserError
from limitcycle.measure import Together, schedule_free
from limitcycle.symmetry import Symmetries

Schedule = Callable[[int], float]
Level = float | Schedule | str
Key = tuple[float, ...]


class Hold(Handle):
    """Groups held at a norm that may change from step to step.

    Which one is asked before every step; it is unchanged where its *key* (numbers that the host
    knows, None where it does not) is.
    """

    _claims: ClassVar[str] = "norm"

    def __init__(self, optimizers: Together, orbits: Orbits, level: Level) -> None:
        self._level = _checked(level, self._name)
        self._captured: Tensor | None = None
        self._radius: Tensor | None = None
        self._key: Key | None = None
        self._step = 0  # turns before this one
        self._made = False  # a step of this turn was made
        self._touched = _touched(optimizers, orbits)
        super().__init__(optimizers, orbits)

    @property
    def norms(self) -> Tensor | None:
        """The norm of each group's sphere, (G,) float64; None before the first step."""
        return self._radius

    def state_dict(self) -> dict[str, Any]:
        """The step's number, the sphere, and what "current" was; reads from the device."""
        return {
            **super().state_dict(),
            "step": self._step + self._made,
            "key": None if self._key is None else list(self._key),
            "radius": None if self._radius is None else self._radius.tolist(),
            "captured": None if self._captured is None else self._captured.tolist(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        super().load_state_dict(state)
        self._step, self._made = state["step"], False
        self._key = None if state["key"] is None else tuple(state["key"])
        self._radius, self._captured = (
            None if state[name] is None else self._filled(state[name])
            for name in ("radius", "captured")
        )

    @abstractmethod
    def _sphere(self) -> tuple[Key | None, Callable[[], Tensor]]:
        """This step's key, and its norms (G,) if they are needed."""

    @abstractmethod
    def _capture(self, norms: Tensor) -> None:
        """Keep what "current" means for later: the sphere of this moment is at ``norms``."""

    def _before(self, member: int, new_turn: bool) -> None:
        if new_turn:
            self._step += self._made
            self._made = False
        key, radius = self._sphere()
        if self._radius is None and isinstance(self._level, str):
            self._radius = self._orbits.norms()
            self._capture(self._radius)
        elif self._radius is None or key is None or key != self._key:
            self._radius = radius()
            self._move()
        self._key = key

    def _move(self) -> None:
        """Carry weights, gradients and state along the orbit to the sphere."""
        assert self._radius is not None
        tensors = self._orbits.tensors
        carried = carried_state(self._optimizers, tensors)
        alpha = self._factors()
        self._orbits.scale(tensors, alpha, 1)
        self._orbits.scale([tensor.grad for tensor in tensors], alpha, -1)
        for degree, state in carried:
            self._orbits.scale(state, alpha, degree)

    def _after(self, member: int) -> None:
        alpha = self._factors()
        if len(self._touched) > 1:  # what this optimizer does not move stays in its bits
            alpha = torch.where(self._touched[member], alpha, 1.0)
        self._orbits.scale(self._orbits.tensors, alpha, 1)
        self._made = True

    def _factors(self) -> Tensor:
        """By what each group is scaled to be on its sphere, (G,)."""
        assert self._radius is not None
        return self._orbits.factors(self._radius)

    def _asked(self) -> float | None:
        """The number asked for at this step; None for "current"."""
        if isinstance(self._level, str):
            return None
        if callable(self._level):
            return _positive(self._level(self._step), f"{self._name}'s schedule at {self._step}")
        return self._level

    def _filled(self, values: Sequence[float | Tensor]) -> Tensor:
        return column(values, self._orbits.exponents)


class _HoldNorm(Hold):
    _name: ClassVar[str] = "hold_norm"

    def _sphere(self) -> tuple[Key | None, Callable[[], Tensor]]:
        asked = self._asked()
        key = () if asked is None else (asked,)
        return key, lambda: self._filled(key * len(self._orbits.labels))

    def _capture(self, norms: Tensor) -> None:
        """The sphere itself is all there is to keep."""


class _HoldEffectiveLR(Hold):
    """ρ = (η/v)^{1/(1 − d)} for an update of degree d: √(η/v) for SGD, η/v for Adam."""

    _name: ClassVar[str] = "hold_effective_lr"

    def __init__(self, optimizers: Together, orbits: Orbits, level: Level) -> None:
        self._optimizers, self._orbits = optimizers, orbits
        powers = [1 - known_degrees(each, self._name).update for each in optimizers.members]
        self._power = self._filled(_shared_powers(optimizers, orbits, powers))
        self._rates()  # refuses before anything is hooked
        super().__init__(optimizers, orbits, level)

    def _sphere(self) -> tuple[Key | None, Callable[[], Tensor]]:
        asked, rates = self._asked(), self._rates()
        known = [rate for rate in rates if not isinstance(rate, Tensor)]
        key = (*known, *([] if asked is None else [asked])) if len(known) == len(rates) else None
        return key, lambda: self._radius_for(self._filled(rates), asked)

    def _radius_for(self, rates: Tensor, asked: float | None) -> Tensor:
        """Where the learning rate is 0 nothing moves, and the norm stays where it is."""
        level = self._captured if asked is None else asked
        assert level is not None
        return torch.where(rates > 0, (rates / level) ** (1 / self._power), self._orbits.norms())

    def _capture(self, norms: Tensor) -> None:
        rates = self._rates()
        if 0 in rates:
            raise UserError(
                "the learning rate is 0, so there is no current effective learning rate to hold: "
                "name a value"
            )
        self._captured = self._filled(rates) / norms**self._power

    def _rates(self) -> list[float | Tensor]:
        """η of each group; a tensor where reading it would wait for a device."""
        groups, orbits = self._optimizers.param_groups, self._orbits
        return [
            _shared_rate(label, [groups[slot]["lr"] for slot in sorted(slots)])
            for label, slots in zip(orbits.labels, orbits.param_groups, strict=True)
        ]


class _CapEffectiveLR(_HoldEffectiveLR):
    """Weights outside of the sphere go their way; those that fall into it are scaled back to it."""

    _name: ClassVar[str] = "hold_effective_lr with cap=True"

    def _factors(self) -> Tensor:
        return super()._factors().clamp(min=1.0)


def hold_norm(
    optimizer: Optimizer | Sequence[Optimizer],
    symmetries: Symmetries,
    norm: Level = "current",
    per: Per = "group",
) -> Hold:
    """Hold the norm of scale-invariant weights: training on a sphere (the paper's Section 5).

    From the next step on; a norm that is not the present one is gone to first, weights, gradients
    and optimizer state together, so that only the effective learning rate changes. Under a constant
    norm ρ, SGD's direction u = w/ρ follows u ← Π(u − (η/ρ²)∇f(u)); docs/control.md has the others.
    With ``per="all"`` and SGD these are the lab's runs with ``fixed_norm``.

    Args:
        optimizer: any of torch.optim but LBFGS, or several, each followed by its own return to the
            sphere; wrappers and containers are looked through. One that is not known (`degrees`)
            only with ``norm="current"``, or a value set before its first step.
        symmetries: as found by `limitcycle.symmetries` for the model; its scale-invariant groups.
        norm: ``"current"`` (that before the next step), a number, or a function of the step (calls
            of ``optimizer.step`` since this one, from 0; turns of several) that returns the norm
            during this step.
        per: each ``"group"`` at the norm, or the joint norm of ``"all"`` with one factor for all.

    Returns:
        A handle: ``remove()``, context manager, ``state_dict()``, ``load_state_dict()``.

    Raises:
        UserError: the symmetries are not bound, or do not fit the optimizer; its state cannot move,
            or it is schedule-free.
    """
    optimizers = _holdable(optimizer)
    orbits = find_orbits(optimizers, symmetries, per)
    if callable(norm):
        for slot in sorted(set(orbits.slots)):
            known_degrees(optimizers.member_of(slot), "a schedule of norms")
    if norm != "current":
        carried_state(optimizers, orbits.tensors)
    return _HoldNorm(optimizers, orbits, norm)


def hold_effective_lr(
    optimizer: Optimizer | Sequence[Optimizer],
    symmetries: Symmetries,
    value: Level = "current",
    per: Per = "group",
    *,
    cap: bool = False,
) -> Hold:
    """Hold η/ρ² (SGD) or η/ρ (optimizers whose update has no scale) by setting the norm ρ.

    Works under any schedule of the learning rate: before each step weights, gradients and state
    move along the orbit to where the learning rate in force asks the norm to be. A schedule then
    changes the norm and no longer the training. While a learning rate is 0 the norm stays.

    Args:
        optimizer: SGD, Adam, AdamW, NAdam, Adamax, Adagrad, RMSprop, or one named Lion.
        symmetries: as for `hold_norm`.
        value: ``"current"`` (that of the next step), a number, or a function of the step.
        per: as for `hold_norm`; ρ is then the joint norm.
        cap: hold it only where it would be higher than ``value``; below, training is as without.
            After a jump the norm falls as ever, until it is back at the cap.

    Returns:
        A handle, as from `hold_norm`.

    Raises:
        UserError: as for `hold_norm`; tensors of one group have different learning rates (also in a
            later step).
    """
    optimizers = _holdable(optimizer)
    orbits = find_orbits(optimizers, symmetries, per)
    carried_state(optimizers, orbits.tensors)
    kind = _CapEffectiveLR if cap else _HoldEffectiveLR
    return kind(optimizers, orbits, value)


def _holdable(optimizer: Any) -> Together:
    """The torch optimizers within, if the weights that they step are those that are used.

    Raises:
        UserError: they are not, or there is no such optimizer.
    """
    found = controllable(optimizer)
    if name := schedule_free(optimizer, found):
        raise UserError(
            f"{name} is schedule-free: what is evaluated and saved is an average "
            "of its weights, whose norm would not be held; use an optimizer with a schedule"
        )
    return found


def _touched(optimizers: Together, orbits: Orbits) -> list[Tensor]:
    """For each optimizer, which groups it moves a tensor of: (G,) bool."""
    owners = optimizers.owners()
    found = [torch.zeros(len(orbits.labels), dtype=torch.bool) for _ in optimizers.members]
    for tensor, group in zip(orbits.tensors, orbits.owners, strict=True):
        found[owners[id(tensor)]][group] = True
    return [each.to(orbits.exponents.device) for each in found]


def _shared_powers(optimizers: Together, orbits: Orbits, powers: Sequence[int]) -> list[float]:
    """What power of the norm each group's effective learning rate goes by, (G,).

    Raises:
        UserError: the optimizers that move a group's tensors disagree.
    """
    owners = optimizers.owners()
    found: list[set[int]] = [set() for _ in orbits.labels]
    for tensor, group in zip(orbits.tensors, orbits.owners, strict=True):
        found[group].add(powers[owners[id(tensor)]])
    for label, several in zip(orbits.labels, found, strict=True):
        if len(several) > 1:
            raise UserError(
                f"the tensors of group {label!r} are moved by {optimizers.name}, whose steps scale "
                "with the weights in different ways: there is no one effective learning rate to "
                'hold; use per="group", or hold_norm'
            )
    return [float(each.pop()) for each in found]


def _checked(level: Level, name: str) -> Level:
    if callable(level) or level == "current":
        return level
    if isinstance(level, str):
        raise UserError(f'{name}: {level!r} is neither "current" nor a number nor a function')
    return _positive(level, name)


def _positive(value: float, where: str) -> float:
    number = float(value)
    if not 0 < number < math.inf:
        raise UserError(f"{where}: {number} is no positive finite number")
    return number


def _shared_rate(label: str, rates: Sequence[float | Tensor]) -> float | Tensor:
    """The one learning rate of a group's tensors."""
    first = rates[0]
    if isinstance(first, Tensor) and first.device.type != "cpu":
        if len(rates) == 1:
            return first
        raise UserError(
            f"group {label!r} lies in several param groups, and whether their learning rates agree "
            "cannot be read from tensors on a device: put it in one"
        )
    numbers = {float(rate) for rate in rates}
    if len(numbers) > 1:
        raise UserError(
            f"the tensors of group {label!r} have different learning rates "
            f"({', '.join(f'{number:g}' for number in sorted(numbers))}): one effective learning "
            'rate needs one; put them in one param group, or use per="group"'
        )
    return numbers.pop()
