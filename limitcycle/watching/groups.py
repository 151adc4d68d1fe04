"""Which tensors are measured together: the scale-invariant groups, and everything else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.optim import Optimizer

from limitcycle.errors import UserError
from limitcycle.symmetry import Symmetries

OTHER = "other"


@dataclass(frozen=True)
class Watched:
    """Tensors that are measured as one.

    Attributes:
        name: of the single tensor; of the first one "(+n)" in a larger group; ``other``.
        names: of the tensors.
        tensors: those of them that the optimizer moves.
        settings: the optimizer's parameter group of each tensor, by index.
        invariant: whether the group is scale-invariant, and so counts for the joint norm.
    """

    name: str
    names: tuple[str, ...]
    tensors: tuple[Tensor, ...]
    settings: tuple[int, ...]
    invariant: bool

    @property
    def entries(self) -> int:
        """Number of weights."""
        return sum(tensor.numel() for tensor in self.tensors)


def watched_groups(
    symmetries: Symmetries, parameters: Mapping[str, Tensor], optimizer: Optimizer
) -> list[Watched]:
    """The scale-invariant groups and ``other``, of the tensors that ``optimizer`` moves.

    Raises:
        UserError: it moves none of them.
    """
    place = {
        id(parameter): index
        for index, group in enumerate(optimizer.param_groups)
        for parameter in group["params"]
    }
    moved = {name: tensor for name, tensor in parameters.items() if id(tensor) in place}
    if not moved:
        raise UserError(
            "the optimizer moves none of the model's trainable parameters: give the model's own "
            "optimizer, made from model.parameters()"
        )
    parts = [(group.names, True) for group in symmetries.groups if group.kind == "scale-invariant"]
    invariant = {name for names, _ in parts for name in names}
    parts.append((tuple(name for name in moved if name not in invariant), False))
    found = []
    for names, is_invariant in parts:
        here = tuple(name for name in names if name in moved)
        if here:
            tensors = tuple(moved[name] for name in here)
            settings = tuple(place[id(tensor)] for tensor in tensors)
            label = _label(here) if is_invariant else OTHER
            found.append(Watched(label, here, tensors, settings, is_invariant))
    return found


def _label(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} (+{len(names) - 1})"


def notes_of(groups: Sequence[Watched], optimizer: Optimizer) -> list[str]:
    """Why a group's learning rate or weight decay is not a number: its tensors have several."""
    notes = []
    joint = [group for group in groups if group.invariant]
    parts = [(group.name, [group]) for group in joint]
    for name, members in [*parts, ("all scale-invariant weights together", joint)]:
        used = {index for group in members for index in group.settings}
        for setting in ("lr", "weight_decay"):
            values = {float(optimizer.param_groups[index].get(setting, 0.0)) for index in used}
            if len(values) > 1:
                listed = ", ".join(f"{value:g}" for value in sorted(values))
                notes.append(
                    f"{setting} of {name} is left out: its tensors have several ({listed})"
                )
    return notes


def dtypes_of(groups: Sequence[Watched]) -> dict[str, int]:
    """How many watched weights have which type."""
    found: dict[str, int] = {}
    for group in groups:
        for tensor in group.tensors:
            name = str(tensor.dtype).removeprefix("torch.")
            found[name] = found.get(name, 0) + tensor.numel()
    return found
