"""How optimizers answer to a scaling of the weights: the degrees of their update and their state.

Along w → αw a gradient scales by α^{−1}, Eq. (2b). A state of *degree* d scales by α^d: an average
of gradients has −1, of their squares −2. The update (before the learning rate) has degree −1 for
SGD and 0 where it is divided by its own size; degree d makes η·ρ^{d−1} the effective learning rate.
"""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from limitcycle.errors import UserError
from limitcycle.measure import Together
from limitcycle.reading.optimizers import OPTIMIZERS, has_own_state, known_names


class Degrees(NamedTuple):
    """Degrees under w → αw: of the ``update``, and of the ``state`` by key."""

    update: int
    state: Mapping[str, int]


_ADAM = {"exp_avg": -1, "exp_avg_sq": -2, "max_exp_avg_sq": -2}
# By the names of `limitcycle.reading.optimizers`, which knows how the update scales.
_STATE: Mapping[str, Mapping[str, int]] = {
    "SGD": {"momentum_buffer": -1},
    "Adam": _ADAM,  # and AdamW, its subclass
    "NAdam": _ADAM,
    "Adamax": {"exp_avg": -1, "exp_inf": -1},
    "Adagrad": {"sum": -2},
    # RMSprop's momentum averages steps that are normalised already
    "RMSprop": {"square_avg": -2, "grad_avg": -1, "momentum_buffer": 0},
    "Lion": {"exp_avg": -1},  # not in torch; its several authors agree on the name and state
}


def degrees_of(optimizer: Optimizer) -> Degrees | None:
    """The optimizer's degrees, or None where nothing is known of its state."""
    kinds = [kind.__name__ for kind in type(optimizer).__mro__]
    if has_own_state(kinds):
        return None
    for name in known_names(kinds):
        if name in _STATE:
            update = -1 if OPTIMIZERS[name].scaling == "gradient" else 0
            return Degrees(update, _STATE[name])
    return None


def known_degrees(optimizer: Optimizer, wish: str) -> Degrees:
    """The same, where ``wish`` cannot be had without.

    Raises:
        UserError: nothing is known of it.
    """
    degrees = degrees_of(optimizer)
    if degrees is None:
        raise UserError(
            f"{wish} under {type(optimizer).__name__} needs to know how its state and update scale "
            'with the weights, and that is not known: hold_norm(norm="current") works under any'
        )
    return degrees


def carried_state(
    optimizers: Together, tensors: tuple[Tensor, ...]
) -> list[tuple[int, list[Tensor | None]]]:
    """What moves with ``tensors`` when they are scaled: (degree, one entry a tensor or None).

    Raises:
        UserError: an optimizer keeps something of which it is not known how it scales, or that
            cannot be scaled in place (numbers of eight bits).
    """
    owners = optimizers.owners()
    known = [degrees_of(member) for member in optimizers.members]
    kept: dict[int, dict[str, list[Tensor | None]]] = {}
    for number, tensor in enumerate(tensors):
        owner = owners[id(tensor)]
        optimizer, degrees = optimizers.members[owner], known[owner]
        for key, value in optimizer.state.get(tensor, {}).items():
            if not isinstance(value, Tensor) or key == "step":
                continue
            degree = degrees.state.get(key) if degrees else None
            as_large = value.numel() > 1 or value.shape == tensor.shape
            if as_large and (degree is None or not _scalable(value, tensor)):
                raise _unknown(optimizer, key)
            if degree:
                lists = kept.setdefault(degree, {})
                lists.setdefault(key, [None] * len(tensors))[number] = value
    return [(degree, values) for degree, lists in kept.items() for values in lists.values()]


def _scalable(value: Tensor, weights: Tensor) -> bool:
    """Whether a state is numbers like the weights' own, not codes that stand for numbers."""
    numbers = value.dtype.is_floating_point or value.dtype.is_complex
    as_the_weights = type(value) in (Tensor, Parameter) or type(value) is type(weights.data)
    return as_the_weights and value.shape == weights.shape and numbers


def _unknown(optimizer: Optimizer, key: str) -> UserError:
    return UserError(
        f"the norm cannot move: how {type(optimizer).__name__}'s state {key!r} scales with the "
        'weights is not known; hold it where it is (norm="current"), or set it before training'
    )
