"""Symmetries of a deep model from those of a shallow one: blocks that repeat have the same.

A model of billions of weights cannot be searched, a *twin* can: the same classes with small widths
and three or more blocks. Widths do not appear in the answer. For depth the twin's middle blocks
must be alike; then every block of the deep model between its first and last has what they have.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from torch import nn

from limitcycle.errors import UserError
from limitcycle.symmetry.answer import Symmetries
from limitcycle.symmetry.group import Exponents, Group
from limitcycle.symmetry.untouched import trainable

CONTINUED = "continued from a twin"  # what the reason of such a group begins with
FEWEST = 3  # blocks of a twin: a first, a last, and one between them


class _Stack(NamedTuple):
    """Where names have a block's number: before and after it; how many blocks, and of the deep."""

    before: str
    shallow: int
    deep: int


def continued(found: Symmetries, model: nn.Module) -> Symmetries:
    """The symmetries of ``model``, from those of a twin with fewer blocks (and any widths).

    The names say what a block is: a number in them, ``layers.7.mlp.up.weight``. The twin's first
    block stands for the first, its last for the last, those between them for all others. On a
    large model this is an inference: `limitcycle.watch` looks at the leak in its first rows, the
    column ``radial_share`` of each group, and names those that it does not bear out.

    Args:
        found: by `limitcycle.symmetries` of the twin.
        model: the deep one, sharded or without values (meta device) if you like.

    Returns:
        the symmetries, bound to ``model``.

    Raises:
        UserError: names do not continue as blocks; the twin has fewer than three of them, or its
            middle blocks are not alike.
    """
    deep = trainable(model)
    shallow = {*(name for group in found.groups for name in group.names), *found.not_invariant}
    stack = _stack(shallow, set(deep))
    if stack is None:
        return found.bound(model)
    _refuse_unlike(found, stack)
    names = _Names(stack)
    groups: list[Group] = []
    for group in found.groups:
        groups += _continued(group, names)
    taken = {name for group in groups for name in group.names}
    place = {name: number for number, name in enumerate(deep)}
    if odd := sorted(taken - set(deep)):
        raise UserError(f"the twin does not continue to this model: it has no {odd[0]!r}")
    ordered = sorted((_ordered(group, place) for group in groups), key=lambda g: place[g.names[0]])
    others = tuple(name for name in deep if name not in taken)
    expected = {far for name in found.not_invariant for far in names.far(name)}
    if odd := sorted(set(others) - expected):
        raise UserError(f"the twin does not continue to this model: it has nothing like {odd[0]!r}")
    ordered = [replace(group, why=f"{CONTINUED}: {group.why}") for group in ordered]
    return replace(found, groups=tuple(ordered), not_invariant=others, parameters=deep)


class _Names:
    """From names in the shallow model to those in the deep one."""

    def __init__(self, stack: _Stack) -> None:
        self.stack = stack

    def block(self, name: str) -> int | None:
        """The number of the block that a name is in."""
        return _number(name, self.stack.before)

    def far(self, name: str) -> list[str]:
        """The names that a name stands for: a middle block for all between first and last.

        Of several middle blocks the first one stands for them all.
        """
        number = self.block(name)
        if number is None:
            return [name]
        last, deep = self.stack.shallow - 1, self.stack.deep
        if number == 0:
            return [name]
        if number == last:
            return [self.at(name, deep - 1)]
        return [self.at(name, new) for new in range(1, deep - 1)] if number == 1 else []

    def at(self, name: str, number: int) -> str:
        """The same name in another block."""
        before = self.stack.before
        rest = name[len(before) :].partition(".")[2]
        return f"{before}{number}.{rest}"


def _continued(group: Group, names: _Names) -> list[Group]:
    """What a group of the twin becomes: one group, or one for each block that it stands for."""
    blocks = {names.block(name) for name in group.names}
    inner = blocks - {None, 0, names.stack.shallow - 1}
    if not inner:
        return [_renamed(group, {name: names.far(name) for name in group.names})]
    if len(blocks) > 1:  # as the residual stream ties some nets' blocks together
        return [_chain(group, names)]
    if inner != {1}:
        return []  # the first of the middle blocks stands for the others
    copies = []
    for number in range(1, names.stack.deep - 1):
        copies.append(_renamed(group, {n: [names.at(n, number)] for n in group.names}))
    return copies


def _renamed(group: Group, far: Mapping[str, Sequence[str]]) -> Group:
    """The group with all names that its names stand for."""

    def spread(exponents: Exponents) -> Exponents:
        return {new: k for name, k in exponents.items() for new in far[name]}

    return replace(
        group,
        names=tuple(new for name in group.names for new in far[name]),
        generators=tuple(spread(generator) for generator in group.generators),
        exponents=None if group.exponents is None else spread(group.exponents),
        leak=float("nan"),
    )


def _chain(group: Group, names: _Names) -> Group:
    """A group through all blocks: some of its generators are of one block, some of all."""
    far = {name: names.far(name) for name in group.names}
    middle = set(range(1, names.stack.shallow - 1))
    generators: list[Exponents] = []
    for generator in group.generators:
        blocks = {names.block(name) for name in generator} - {None}
        inner = blocks & middle
        if not inner or inner == middle != blocks:
            generators.append({new: k for n, k in generator.items() for new in far[n]})
        elif blocks == {1}:
            generators += [_in_block(generator, names, n) for n in range(1, names.stack.deep - 1)]
        elif len(blocks) > 1:
            raise UserError(
                f"the group of {group.names[0]!r} ties single blocks together, so it does not "
                "continue by name: search a twin of the model's own depth"
            )
    renamed = _renamed(replace(group, generators=()), far)
    return replace(renamed, generators=tuple(generators))


def _in_block(generator: Exponents, names: _Names, number: int) -> Exponents:
    found = {}
    for name, exponent in generator.items():
        new = name if names.block(name) is None else names.at(name, number)
        found[new] = exponent
    return found


def _ordered(group: Group, place: Mapping[str, int]) -> Group:
    return replace(group, names=tuple(sorted(group.names, key=lambda name: place[name])))


def _refuse_unlike(found: Symmetries, stack: _Stack) -> None:
    """Refuse a twin that does not say what a block in the middle has."""
    if stack.shallow < FEWEST:
        raise UserError(
            f"the twin has {stack.shallow} blocks {stack.before}…: build it with {FEWEST} or more, "
            "so that one stands between the first and the last"
        )
    signs = [_sign(found, stack, number) for number in range(1, stack.shallow - 1)]
    if any(sign != signs[0] for sign in signs):
        raise UserError(
            f"the twin's blocks {stack.before}1 to {stack.before}{stack.shallow - 2} differ in "
            "their symmetries, so they do not continue by name: search a twin of the model's depth"
        )


def _sign(found: Symmetries, stack: _Stack, number: int) -> list[tuple[object, ...]]:
    """The groups of one block, without its number."""
    start = f"{stack.before}{number}."
    signs: list[tuple[object, ...]] = []
    for group in found.groups:
        mine = [name for name in group.names if name.startswith(start)]
        if not mine:
            continue
        exponents = group.exponents or {}
        told = sorted((name.removeprefix(start), exponents.get(name, 0.0)) for name in mine)
        signs.append((group.kind, tuple(told)))
    return sorted(signs, key=str)


def _stack(shallow: set[str], deep: set[str]) -> _Stack | None:
    """The one place in the names where the deep model has more numbers; None where there is none.

    Raises:
        UserError: there are several such places.
    """
    grown = []
    for before in sorted(_places(deep) & _places(shallow)):
        few, many = _count(shallow, before), _count(deep, before)
        if few != many:
            grown.append(_Stack(before, few, many))
    if len(grown) > 1:
        listed = ", ".join(f"{stack.before}…" for stack in grown)
        raise UserError(
            f"the model has more blocks than the twin in several places ({listed}): build the twin "
            "with as many in all but one"
        )
    if grown and grown[0].deep < grown[0].shallow:
        raise UserError(f"the twin has more blocks {grown[0].before}… than the model")
    return grown[0] if grown else None


def _places(names: set[str]) -> set[str]:
    return {name[: match.start() + 1] for name in names for match in re.finditer(r"\.\d+\.", name)}


def _number(name: str, before: str) -> int | None:
    if not name.startswith(before):
        return None
    digits = name[len(before) :].partition(".")[0]
    return int(digits) if digits.isdigit() else None


def _count(names: set[str], before: str) -> int:
    return len({number for name in names if (number := _number(name, before)) is not None})
