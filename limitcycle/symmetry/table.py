"""The answer as people read it: a table, then the reasons."""

import itertools
import re
from collections.abc import Iterable, Sequence

from limitcycle.symmetry.group import Group

Row = tuple[str, str, str, str, str]

SLICE = re.compile(r"(.*)\[(\d+)\]")


def table(groups: Sequence[Group], not_invariant: Iterable[str], frozen: Iterable[str]) -> str:
    """One line a tensor, its exponents in order of the generators; below, one line a reason."""
    rows: list[Row] = [("group", "parameter", "exponent", "kind", "leak")]
    reasons = []
    for number, alike in enumerate(_alike(groups), start=1):
        rows += _rows(str(number), alike)
        if alike[0].why:
            reasons.append(f"{number}: {alike[0].why}")
    rows += [("", name, "", "not invariant", "") for name in spans(not_invariant)]
    rows += [("", name, "", "frozen", "") for name in frozen]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, *(["", "why"] if reasons else []), *reasons])


def spans(names: Iterable[str]) -> list[str]:
    """Names with slices that follow one another written as ``name[first:last + 1]``."""
    written: list[tuple[str, int, int]] = []
    for name in names:
        match = SLICE.fullmatch(name)
        tensor, index = (match[1], int(match[2])) if match else (name, -1)
        if written and index > 0 and written[-1][0] == tensor and written[-1][2] == index:
            written[-1] = (tensor, written[-1][1], index + 1)
        else:
            written.append((tensor, index, index + 1))
    return [tensor if a < 0 else f"{tensor}[{a}:{b}]" for tensor, a, b in written]


def _alike(groups: Sequence[Group]) -> list[list[Group]]:
    """Groups of one slice each of the same tensor and kind taken together."""

    def key(group: Group) -> object:
        match = SLICE.fullmatch(group.names[0])
        alone = match and len(group.names) == 1
        return (match[1], group.kind, group.approximate) if match and alone else id(group)

    return [list(same) for _, same in itertools.groupby(groups, key)]


def _rows(number: str, groups: list[Group]) -> list[Row]:
    """One line a tensor, or a span of slices with the same exponents."""
    group = groups[0]
    kind = f"{group.kind} (nearly)" if group.approximate else group.kind
    if len(groups) > 1:
        slices = ", ".join(spans(g.names[0] for g in groups))
        leak = f"{max(g.leak for g in groups):.1e}"
        return [(number, f"{slices}, each by itself", "+1", kind, leak)]
    vectors = [group.exponents] if group.exponents is not None else list(group.generators)
    lines: list[Row] = []
    for exponents, names in itertools.groupby(
        group.names,
        lambda name: " ".join(f"{k.get(name, 0):+g}".replace("+0", "0") for k in vectors),
    ):
        for name in spans(names):
            first = (number, name, exponents, kind, f"{group.leak:.1e}")
            lines.append(first if not lines else ("", name, exponents, "", ""))
    return lines
