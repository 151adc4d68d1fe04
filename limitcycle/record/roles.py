"""Which of the quantities that a training script logs is the step, the loss, the norm.

Names are compared by the words in them, whatever separates these: ``train/loss``, ``train_loss``
and ``Loss/train`` are one name. What more than one quantity could be is never chosen: two
candidates for a needed role are refused, and an optional role stays empty.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limitcycle.checks import shown
from limitcycle.errors import UserError

NEEDED = ("loss", "norm")
OPTIONAL = ("lr", "weight_decay", "momentum")


def _names(*names: str) -> frozenset[frozenset[str]]:
    return frozenset(frozenset(name.split()) for name in names)


_WORDS: Mapping[str, frozenset[frozenset[str]]] = {
    "step": _names("step", "steps", "global step", "trainer global step", "train global step")
    | _names("train step", "iteration", "iter", "iterations"),
    "loss": _names("loss", "train loss", "training loss", "batch loss")
    | _names("train loss step", "loss step", "train batch loss", "training loss step")
    | _names("lm loss"),
    "norm": _names("norm", "weight norm", "weights norm", "norm of weights", "param norm")
    | _names("parameter norm", "params norm", "train norm", "train weight norm")
    | _names("total weight norm", "train param norm"),
    "lr": _names("lr", "learning rate", "train lr", "train learning rate"),
    "weight_decay": _names("weight decay", "wd", "train weight decay"),
    "momentum": _names("momentum", "train momentum"),
}
# Lightning's LearningRateMonitor writes lr-SGD, lr-SGD-weight_decay, lr-SGD-momentum.
_MONITOR = {
    "lr": re.compile(r"lr-\w+"),
    "weight_decay": re.compile(r"lr-\w+-weight_decay"),
    "momentum": re.compile(r"lr-\w+-momentum"),
}


@dataclass(frozen=True)
class Choice:
    """Role → name of the quantity that plays it, and what has to be said about that."""

    names: Mapping[str, str]
    notes: tuple[str, ...]


def candidates(role: str, names: Iterable[str]) -> list[str]:
    """Of ``names`` those that usually mean ``role``; the curve that `lc.watch` logged, if any."""
    names = list(names)
    if (own := f"limitcycle/{role}") in names:
        return [own]
    monitor = _MONITOR.get(role)
    return [
        name
        for name in names
        if frozenset(re.split(r"[^a-z0-9]+", name.strip().lower())) - {""} in _WORDS[role]
        or (monitor is not None and monitor.fullmatch(name))
    ]


def choose(
    source: str,
    names: Sequence[str],
    given: Mapping[str, str | None],
    remedy: str,
    step: str | None = None,
) -> Choice:
    """Loss and norm among ``names``, and of the optional roles what there is.

    Args:
        source: what the refusal calls the table.
        names: of the logged quantities.
        given: role → name where the user said it; None or absent otherwise.
        remedy: how a norm is logged, for who has none.
        step: name of the step where it was chosen before, to be told with the others.

    Raises:
        UserError: a needed role has no candidate or several, or a given name is not there.
    """
    chosen: dict[str, str] = {}
    notes: list[str] = []
    for role in (*NEEDED, *OPTIONAL):
        name = given.get(role)
        if name is not None:
            chosen[role] = _there(source, names, role, name)
            continue
        found = candidates(role, names)
        if len(found) == 1:
            chosen[role] = found[0]
        elif role in NEEDED:
            raise UserError(_refusal(source, names, role, found, remedy))
        elif found:
            notes.append(f"not taken: {role}, which {_or(found)} may be; give --{_dashed(role)}")
    told = {**({} if step is None else {"step": step}), **chosen}
    taken = [f"{role} = {name!r}" for role, name in told.items() if given.get(role) != name]
    return Choice(chosen, (*([f"taken: {', '.join(taken)}"] if taken else []), *notes))


def choose_step(source: str, names: Sequence[str], given: str | None) -> str:
    """The step among ``names``; W&B's own ``_step``, which counts calls of log, if nothing else.

    Raises:
        UserError: there is none or several, or the given name is not there.
    """
    if given is not None:
        return _there(source, names, "step", given)
    own = [name for name in names if name == "_step"]
    found = [name for name in candidates("step", names) if name not in own] or own
    if len(found) != 1:
        raise UserError(_refusal(source, names, "step", found, ""))
    return found[0]


def _there(source: str, names: Sequence[str], role: str, name: str) -> str:
    if name not in names:
        raise UserError(f"{source} has no {name!r} (--{_dashed(role)}); it has {listed(names)}")
    return name


def _refusal(
    source: str, names: Sequence[str], role: str, found: Sequence[str], remedy: str
) -> str:
    if found:
        return f"{source}: {_or(found)} may be the {role}: say which with --{role} NAME"
    text = f"{source} has no {role} by a usual name; it has {listed(names)}"
    return needs_norm(text, remedy) if role == "norm" else f"{text}: say which with --{role} NAME"


def needs_norm(text: str, remedy: str) -> str:
    """A refusal that begins with ``text``: why there is no verdict without a norm."""
    return (
        f"{text}: say which is the norm of the weights with --norm NAME or, as destabilisations "
        "are told by that norm turning from falling to rising and not by the loss alone, "
        f"{remedy}"
    )


def listed(names: Sequence[Any]) -> str:
    """Names for a refusal: the first twelve, each of a length that can be read."""
    some = ", ".join(map(shown, names[:12])) or "nothing"
    return f"{some} and {len(names) - 12} more" if len(names) > 12 else some


def _or(names: Sequence[str]) -> str:
    return f"{', '.join(map(repr, names[:-1]))} or {names[-1]!r}" if len(names) > 1 else names[0]


def _dashed(role: str) -> str:
    return role.replace("_", "-")
