"""Weight decay in proportion to the learning rate, so that decay per step is to its square.

The norm rests where decay and growth agree. SGD, w ← (1 − ηλ)w − η∇f: ρ⁴ = ηg̃²/(2λ); Adam with
decoupled decay: ρ² ∝ η/λ. Under a schedule of η alone the resting norm drifts, and with it ‖∇f‖/ρ =
√(2λ/η): gradients rise as the learning rate falls. λ_t = λ·η_t/η_max keeps η/λ, hence the norm, and
η/ρ² follows the schedule as it would on a sphere. A step then shortens by η_t·λ_t = λη_t²/η_max.
Defazio, "Why gradients rapidly increase near the end of training" (2025): AdamC, SGDC.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor
from torch.optim import Optimizer

from limitcycle.control.handle import Handle, controllable
from limitcycle.control.orbits import Orbits, find_orbits
from limitcycle.errors import UserError
from limitcycle.measure import Together
from limitcycle.symmetry import Symmetries


def following_decay(weight_decay: float, lr: float, peak: float) -> float:
    """λ_t = λ·η_t/η_max."""
    return weight_decay * (lr / peak)


class DecayWithLR(Handle):
    """`decay_with_lr` at work: λ_t during a step, the user's λ before and after it."""

    _name: ClassVar[str] = "decay_with_lr"
    _claims: ClassVar[str] = "weight decay"

    def __init__(self, optimizers: Together, orbits: Orbits, peak: float | None) -> None:
        slots = sorted(set(orbits.slots))
        groups = optimizers.param_groups
        self._peaks = {slot: _peak(groups[slot], peak) for slot in slots}
        self._own: dict[int, float] = {}
        super().__init__(optimizers, orbits)

    def remove(self) -> None:
        """Take the hooks away and give each param group its weight decay back."""
        super().remove()
        self._restore()

    def state_dict(self) -> dict[str, Any]:
        """The peaks; the weight decay itself is in the optimizer's own state."""
        return {**super().state_dict(), "peaks": list(self._peaks.values())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        super().load_state_dict(state)
        self._peaks = dict(zip(self._peaks, state["peaks"], strict=True))

    def _before(self, member: int, new_turn: bool) -> None:
        self._restore()  # a step that raised did not get to do it
        groups = self._optimizers.param_groups
        for slot, peak in self._peaks.items():
            group = groups[slot]
            if group["weight_decay"]:
                self._own[slot] = group["weight_decay"]
                group["weight_decay"] = following_decay(self._own[slot], float(group["lr"]), peak)

    def _after(self, member: int) -> None:
        self._restore()

    def _restore(self) -> None:
        groups = self._optimizers.param_groups
        while self._own:
            slot, weight_decay = self._own.popitem()
            groups[slot]["weight_decay"] = weight_decay


def decay_with_lr(
    optimizer: Optimizer | Sequence[Optimizer], symmetries: Symmetries, peak: float | None = None
) -> DecayWithLR:
    """Weight decay of scale-invariant weights that follows the learning rate: λ_t = λ·η_t/η_max.

    The resting norm then does not drift under a schedule, and gradients do not rise at its end
    (Defazio 2025, AdamC and SGDC). Between steps the param groups show the weight decay you gave,
    also to a checkpoint; one with 0 stays at 0.

    Args:
        optimizer: any with ``weight_decay`` in its param groups, or several. Scale-invariant
            tensors that decay share no param group with others: `limitcycle.split_groups` sees to
            that.
        symmetries: as found by `limitcycle.symmetries` for the model.
        peak: η_max; None takes each param group's ``max_lr`` or ``initial_lr`` (which schedulers
            leave there), else its present learning rate.

    Returns:
        A handle: ``remove()``, context manager, ``state_dict()``, ``load_state_dict()``.

    Raises:
        UserError: the symmetries are not bound, or do not fit the optimizer; a param group with
            decay holds other tensors too; there is no peak.
    """
    optimizers = controllable(optimizer)
    orbits = find_orbits(optimizers, symmetries, "group")
    _refuse_mixed(optimizers, orbits)
    return DecayWithLR(optimizers, orbits, peak)


def _peak(group: Mapping[str, Any], peak: float | None) -> float:
    if isinstance(group["lr"], Tensor) and group["lr"].device.type != "cpu":
        raise UserError(
            "decay_with_lr reads the learning rate: keep it a number, not a device tensor"
        )
    found = float(peak or group.get("max_lr") or group.get("initial_lr") or group["lr"])
    if not 0 < found < float("inf"):
        raise UserError(f"decay_with_lr needs a positive peak learning rate, not {found}: name it")
    return found


def _refuse_mixed(optimizers: Together, orbits: Orbits) -> None:
    mine = set(map(id, orbits.tensors))
    groups = optimizers.param_groups
    for slot in sorted(set(orbits.slots)):
        group = groups[slot]
        if "weight_decay" not in group:
            raise UserError(
                f"{type(optimizers.member_of(slot)).__name__} has no weight decay to scale"
            )
        others = sum(id(tensor) not in mine for tensor in group["params"])
        if group["weight_decay"] and others:
            raise UserError(
                f"param group {slot} decays scale-invariant tensors and {others} others alike: "
                "limitcycle.split_groups(optimizer, symmetries) gives the former their own"
            )
