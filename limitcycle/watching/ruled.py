"""Which rule the update of a set of tensors follows: that of the optimizer that moves them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch.optim import Optimizer

from limitcycle.measure import Moving, Together, stepping_classes
from limitcycle.reading.optimizers import Extent, UpdateRule, group_rule, joint_rule
from limitcycle.watching.groups import Watched


class Rules:
    """The rules of all parameter groups.

    Args:
        by_slot: the rule of each parameter group, by index.
    """

    def __init__(self, by_slot: Sequence[UpdateRule]) -> None:
        self._by_slot = tuple(by_slot)
        self._one = joint_rule(self._by_slot) if len(set(self._by_slot)) == 1 else None

    def of(self, groups: Iterable[Watched]) -> UpdateRule:
        """The one rule of these groups' tensors; where they have several, one that says so."""
        if self._one is not None:
            return self._one
        used = {index for group in groups for index in group.settings}
        return joint_rule([self._by_slot[index] for index in sorted(used)])

    @property
    def all(self) -> UpdateRule:
        """The rule of everything that is moved."""
        return self._one or joint_rule(self._by_slot)


def rules_of(movers: Together, step: int = 0) -> Rules:
    """What is known of the optimizers, parameter group by parameter group.

    Args:
        movers: the optimizers.
        step: the number of the row that their next step has.
    """
    found = []
    for member in movers.members:
        classes = stepping_classes(member)
        for group in member.param_groups:
            rule = group_rule(classes, group)
            if rule.slows:
                rule = group_rule(classes, group, _steps_made(member, group) - step)
            found.append(rule)
    return Rules(found)


def _steps_made(optimizer: Optimizer, group: Mapping[str, Any]) -> int:
    """How often the optimizer has moved the tensors of a parameter group."""
    steps = [optimizer.state.get(tensor, {}).get("step", 0) for tensor in group["params"]]
    return int(max(steps, default=0))


def extent_of(groups: Sequence[Watched]) -> Extent:
    """Size and shapes of the tensors of these groups together."""
    return Extent(
        sum(group.entries for group in groups),
        tuple(shape for group in groups for shape in group.shapes),
    )


def notes_of_rules(rules: Rules, groups: Sequence[Watched], optimizer: Moving) -> list[str]:
    """Why a column that hangs on the optimizer is left out."""
    joint = [group for group in groups if group.invariant]
    together = [("all scale-invariant weights together", joint)] if joint else []
    notes = []
    for name, members in [*((group.name, [group]) for group in joint), *together]:
        rule = rules.of(members)
        if rule.scaling == "several":
            notes.append(f"effective_lr of {name} is left out: {rule.name} move them")
    for rule in dict.fromkeys(rules.of([group]) for group in joint or groups):
        theirs = [group for group in joint or groups if rules.of([group]) == rule]
        notes += _silence(rule, _decayed(theirs, optimizer))
    return notes


def _silence(rule: UpdateRule, decayed: bool) -> list[str]:
    """What is not known of an optimizer that is known."""
    if rule.scaling in ("unknown", "several"):
        return []
    notes = []
    if rule.sized == "unknown":
        notes.append(
            f"how {rule.name} adjusts its learning rate to a tensor's shape is not known: "
            "effective_lr does not compare between tensors, rotation does"
        )
    if rule.scaling == "weights":
        notes.append(
            f"a step of {rule.name} grows with the weights: they turn as fast at any norm, so "
            "there is none where they rest"
        )
    elif decayed and not rule.decays:
        notes.append(
            f"weight decay under {rule.name} does not shrink the weights by ηλ a step (it goes "
            "through the division by the gradient's size, or has a factor of its own): the column "
            "is left out"
        )
    elif decayed and not rule.equilibrium:
        notes.append(f"where the norm rests under {rule.name} is not known: see rotation")
    return notes


def _decayed(groups: Sequence[Watched], optimizer: Moving) -> bool:
    used = {index for group in groups for index in group.settings}
    return any(optimizer.param_groups[index].get("weight_decay") for index in used)
