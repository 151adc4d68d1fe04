"""Which tensors are measured together: the scale-invariant groups, and everything else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from limitcycle.errors import UserError
from limitcycle.measure import Moving
from limitcycle.symmetry import Group, Symmetries

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
        missing: names of tensors without which the group is but a part of a scale-invariant one:
            no optimizer that is watched moves them.
    """

    name: str
    names: tuple[str, ...]
    tensors: tuple[Tensor, ...]
    settings: tuple[int, ...]
    invariant: bool
    missing: tuple[str, ...] = ()

    @property
    def entries(self) -> int:
        """Number of weights; a complex one counts twice."""
        return sum(tensor.numel() * (1 + tensor.is_complex()) for tensor in self.tensors)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of the tensors."""
        return tuple(tuple(tensor.shape) for tensor in self.tensors)


def watched_groups(
    symmetries: Symmetries,
    parameters: Mapping[str, Tensor],
    optimizer: Moving,
    *,
    each: bool = False,
) -> list[Watched]:
    """The scale-invariant groups and ``other``, of the tensors that ``optimizer`` moves.

    Args:
        symmetries: of the model; what they do not name is ``other``.
        parameters: its trainable tensors by name.
        optimizer: whose parameter groups say which settings are whose.
        each: every tensor is a group of its own, because nothing is known of symmetries.

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
    if each:
        return [_watched(name, (name,), False, moved, place) for name in moved]
    known = [group for group in symmetries.groups if group.kind == "scale-invariant"]
    found = []
    for group in known:
        if here := tuple(name for name in group.names if name in moved):
            whole = len(here) == len(group.names) or _holds_by_itself(group, here)
            missing = () if whole else tuple(name for name in group.names if name not in moved)
            found.append(_watched(_label(here), here, whole, moved, place, missing))
    layers = [_watched(name, (name,), False, moved, place) for name in _layers(symmetries, moved)]
    taken = {name for group in (*found, *layers) for name in group.names}
    others = tuple(name for name in moved if name not in taken)
    rest = [_watched(OTHER, others, False, moved, place)] if others else []
    return [*found, *layers, *rest]


def _watched(
    label: str,
    names: tuple[str, ...],
    invariant: bool,
    moved: Mapping[str, Tensor],
    place: Mapping[int, int],
    missing: tuple[str, ...] = (),
) -> Watched:
    tensors = tuple(moved[name] for name in names)
    settings = tuple(place[id(tensor)] for tensor in tensors)
    return Watched(label, names, tensors, settings, invariant, missing)


def _holds_by_itself(group: Group, names: tuple[str, ...]) -> bool:
    """Whether a part of a group is scale-invariant whatever becomes of the rest."""
    covered: set[str] = set()
    for generator in group.generators:
        scaled = {name for name, exponent in generator.items() if exponent}
        if scaled <= set(names) and all(exponent >= 0 for exponent in generator.values()):
            covered |= scaled
    return covered == set(names)


def _layers(symmetries: Symmetries, moved: Mapping[str, Tensor]) -> list[str]:
    """Matrices of mixed groups: those of pre-norm Transformers, which are rows by themselves.

    Each is in front of a normalisation or behind one, but for a gain that may take its scale; so
    how far it turns a step means something, though its norm is no quantity of the function.
    """
    mixed = [name for group in symmetries.groups if group.kind == "mixed" for name in group.names]
    return [name for name in mixed if name in moved and moved[name].ndim > 1]


def names_apart(groups: Sequence[Watched]) -> list[str]:
    """Rows that are neither of a scale-invariant group nor ``other``."""
    return [group.name for group in groups if not group.invariant and group.name != OTHER]


def moved_alike(optimizer: Moving) -> tuple[int, ...]:
    """A number a parameter group, of its tensors and of those that are trained.

    As long as it stays the same, no group was added and no tensor was frozen or unfrozen.
    """
    groups = [group["params"] for group in optimizer.param_groups]
    trained = [sum(parameter.requires_grad for parameter in group) for group in groups]
    return (*map(len, groups), *trained)


def joint_names(groups: Sequence[Watched]) -> set[str]:
    """Names of the tensors that the joint row is of."""
    joint = [group for group in groups if group.invariant] or groups
    return {name for group in joint for name in group.names}


def _label(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} (+{len(names) - 1})"


def notes_of(groups: Sequence[Watched], optimizer: Moving) -> list[str]:
    """Why a group's learning rate or weight decay is not a number: its tensors have several."""
    notes = []
    joint = [group for group in groups if group.invariant]
    parts = [(group.name, [group]) for group in joint]
    for name, members in [*parts, ("all scale-invariant weights together", joint)]:
        used = {index for group in members for index in group.settings}
        for setting in ("lr", "weight_decay"):
            given = [optimizer.param_groups[index].get(setting) for index in used]
            values = {float(value) for value in given if value is not None}
            if len(values) > 1:
                listed = ", ".join(f"{value:g}" for value in sorted(values))
                notes.append(
                    f"{setting} of {name} is left out: its tensors have several ({listed})"
                )
    notes += [in_part(group) for group in groups if group.missing]
    if any("train_mode" in group for group in optimizer.param_groups):
        notes.append("these are the training weights; a schedule-free optimizer averages them")
    return notes


def in_part(group: Watched) -> str:
    """That a scale-invariant group is not measured whole."""
    shown = ", ".join(group.missing[:3]) + (", …" if len(group.missing) > 3 else "")
    return (
        f"{group.name} is a part of a scale-invariant group: no optimizer that is watched moves "
        f"{shown}, so it counts for no joint norm; give all of them, lc.watch(model, [a, b])"
    )


_PER_SAMPLE = ("LayerNorm", "RMSNorm", "GroupNorm")


def kind_of_net(groups: Sequence[Watched], model: nn.Module) -> str:
    """``convnet`` where there are convolutions over images, as the lab calls it.

    ``per-sample`` where modules normalise each sample by itself (LayerNorm, RMSNorm and the like,
    by their names) and none normalises over the batch; else empty.
    """
    kinds = [type(module).__name__ for module in model.modules()]
    alone = any(name.endswith(_PER_SAMPLE) for name in kinds)
    if alone and not any("BatchNorm" in name for name in kinds):
        return "per-sample"
    kernels = any(len(shape) == 4 for group in groups for shape in group.shapes)
    return "convnet" if kernels else ""


def dtypes_of(groups: Sequence[Watched]) -> dict[str, int]:
    """How many watched weights have which type."""
    found: dict[str, int] = {}
    for group in groups:
        for tensor in group.tensors:
            name = str(tensor.dtype).removeprefix("torch.")
            found[name] = found.get(name, 0) + tensor.numel()
    return found
