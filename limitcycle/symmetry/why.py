"""Why a scaling changes nothing: the modules that take a changed input to the same output.

Two forward passes, one of them with the group's tensors scaled, are compared call by call. The
innermost calls that a change goes into and does not come out of absorb it. Neither names nor types
of modules play a part; they only appear in the sentence.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from limitcycle.symmetry.group import Exponents, GroupKind
from limitcycle.symmetry.probe import Probe, tensors_of
from limitcycle.symmetry.table import spans
from limitcycle.symmetry.untouched import plain_name

Array = NDArray[np.float64]

MOST_NAMES = 3
SMALL = 1_000_000  # tensors' numbers in all: up to there float64 costs nothing
OWN_FORWARD = "plain tensor operations in the model's own forward"


@dataclass
class Call:
    """One call of a module: fingerprints of what went in and out, and the calls inside."""

    name: str
    type: str
    owned: frozenset[str]
    inputs: list[Array]
    outputs: list[Array] = field(default_factory=list)
    inside: "list[Call]" = field(default_factory=list)


class Reasons:
    """Sentences for the groups of one model.

    Args:
        probe: of the model.
    """

    def __init__(self, probe: Probe) -> None:
        size = sum(p.numel() for p in probe.trainable.values())
        small = size < SMALL
        self.probe, self.dtype = probe, torch.float64 if small else torch.float32
        self.tolerance = 1e-6 if small else 1e-3
        self._before = self._calls(np.ones(len(probe.pieces)))

    def absorbers(self, members: Sequence[int], exponents: Sequence[float]) -> list[str]:
        """What absorbs w → 2^k·w of the pieces ``members``, each in words."""
        factors = np.ones(len(self.probe.pieces))
        factors[list(members)] = 2.0 ** np.array(exponents)
        scaled = {self.probe.pieces[i].split("[")[0] for i in members}
        after = self._calls(factors)
        if self._before is None or after is None:
            return []
        return list(dict.fromkeys(map(_in_words, self._innermost(self._before, after, scaled)[1])))

    def _calls(self, factors: Array) -> Call | None:
        with _recorded(self.probe.model) as calls:
            self.probe.outputs(factors, self.dtype)
        return calls[0] if calls else None

    def _innermost(self, before: Call, after: Call, scaled: set[str]) -> tuple[bool, list[Call]]:
        """Whether a change reaches this call, and the calls in it that let nothing out."""
        touched = bool(before.owned & scaled) or self._differ(before.inputs, after.inputs)
        found: list[Call] = []
        for one, other in zip(before.inside, after.inside, strict=False):
            reached, absorbers = self._innermost(one, other, scaled)
            touched, found = touched or reached, found + absorbers
        if touched and not found and not self._differ(before.outputs, after.outputs):
            found = [before]
        return touched, found

    def _differ(self, before: list[Array], after: list[Array]) -> bool:
        pairs = zip(before, after, strict=False)
        return any(np.abs(a - b).max() > self.tolerance * max(a[0], b[0]) for a, b in pairs)


def sentence(
    kind: GroupKind, generators: Sequence[Exponents], absorbers: Sequence[str], *, used: bool = True
) -> str:
    """Why the scalings ``generators`` of a group change nothing; empty where that is not known."""
    if not used:
        return "takes no part in the output"
    if kind in ("rescaling", "mixed"):
        if len(generators) > 1:
            return f"its tensors undo each other's scaling, in {len(generators)} independent ways"
        gains = spans(name for name, k in generators[0].items() if k > 0)
        loses = spans(name for name, k in generators[0].items() if k < 0)
        verbs = ["s" if len(names) == 1 else "" for names in (gains, loses)]
        return f"what {_listed(gains)} gain{verbs[0]}, {_listed(loses)} lose{verbs[1]}"
    verb = "its effect is removed by" if kind == "dead" else "absorbed by"
    return f"{verb} {_listed(absorbers)}" if absorbers else ""


def _listed(items: Sequence[str]) -> str:
    shown, more = list(items[:MOST_NAMES]), len(items) - MOST_NAMES
    if more > 0:
        shown.append(f"{more} more")
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _in_words(call: Call) -> str:
    if not call.name:
        return OWN_FORWARD if call.inside or call.owned else f"the model itself ({call.type})"
    name = f"`{call.name}` ({call.type})"
    return f"plain tensor operations inside {name}" if call.inside else name


@contextlib.contextmanager
def _recorded(model: nn.Module) -> Iterator[list[Call]]:
    """While active, calls of the model are listed, with their fingerprints."""
    open_calls: list[Call] = []
    finished: list[Call] = []
    names = {module: plain_name(name) for name, module in model.named_modules()}

    def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
        name = names[module]
        owned = {f"{name}.{own}".lstrip(".") for own in module._parameters}
        inputs = _fingerprints((args, kwargs))
        call = Call(name, type(module).__name__, frozenset(owned), inputs)
        (open_calls[-1].inside if open_calls else finished).append(call)
        open_calls.append(call)

    def leave(_module: nn.Module, _args: Any, _kwargs: Any, output: Any) -> None:
        open_calls.pop().outputs = _fingerprints(output)

    handles = [
        handle
        for module in names
        for handle in (
            module.register_forward_pre_hook(enter, with_kwargs=True, prepend=True),
            module.register_forward_hook(leave, with_kwargs=True),
        )
    ]
    try:
        yield finished
    finally:
        for handle in handles:
            handle.remove()


def _fingerprints(value: Any) -> list[Array]:
    """For each floating tensor its norm and two projections, which hardly stay by accident."""
    return [_fingerprint(t.detach()) for t in tensors_of(value) if t.is_floating_point()]


def _fingerprint(tensor: Tensor) -> Array:
    finite = torch.nan_to_num(tensor, nan=0.0, posinf=0.0, neginf=0.0).flatten()
    finite = torch.where(finite.abs() < 1e30, finite, 0)  # masks
    waves = [torch.dot(finite, wave) for wave in _waves(len(finite), finite.dtype, finite.device)]
    fingerprint: Array = torch.stack([finite.norm(), *waves]).double().cpu().numpy()
    return fingerprint


@lru_cache(maxsize=32)
def _waves(length: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    phase = torch.arange(length, dtype=torch.float64, device=device)
    return torch.cos(phase).to(dtype), torch.sin(phase).to(dtype)
