"""Find a model's scaling symmetries: gather Euler products until their null space is settled."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn
from torch.nn.parameter import UninitializedParameter

from limitcycle.errors import UserError
from limitcycle.sharded import is_sharded
from limitcycle.symmetry.answer import Symmetries
from limitcycle.symmetry.group import Exponents, Group, GroupKind
from limitcycle.symmetry.integers import Vector, holds_nonnegative, smallest_positive
from limitcycle.symmetry.nullspace import DOUBLE, SINGLE, Component, EulerProducts, Limits
from limitcycle.symmetry.probe import ROUNDING, Loss, Probe, Row
from limitcycle.symmetry.progress import Late, Report, silent
from limitcycle.symmetry.untouched import plain_name, trainable, untouched, unwrapped
from limitcycle.symmetry.why import MOST_NAMES, Reasons, sentence

Array = NDArray[np.float64]

SPARE_ROWS = 5
FEWEST_POINTS = 3
REFUSALS = 5
ATTEMPTS = 8
MOST_COUPLED = 300
LARGEST_EXPONENT = 3.0
SHARDED = (
    "a sharded model cannot be searched: find its symmetries before fully_shard, or of a narrow "
    "twin with the same names (lc.symmetries(twin, batch)), and give them, symmetries=…; twins of "
    "fewer layers go on with lc.continued(found, model)"
)
DEVIATION = 1e3  # of the output, per residual of a near symmetry


def symmetries(
    model: nn.Module,
    batch: Any,
    loss: Loss | None = None,
    *,
    per: Literal["tensor", "channel"] = "tensor",
    progress: Report | None = None,
) -> Symmetries:
    """Which scalings of the trainable tensors leave the model's output unchanged, and why.

    w_i → α^{k_i}·w_i for all i changes nothing, for every input, exactly when Σ k_i⟨w_i, ∂f/∂w_i⟩
    vanishes everywhere. So the Euler products ⟨w_i, ∂f/∂w_i⟩ are gathered at random weights and
    inputs, with vanishing eps, and the null space of their matrix is the answer, confirmed in
    float64. Names and module types play no part. The model comes back untouched.

    >>> import torch, limitcycle as lc
    >>> from torch import nn
    >>> model = nn.Sequential(nn.Linear(4, 8, bias=False), nn.LayerNorm(8), nn.Linear(8, 2))
    >>> lc.symmetries(model, torch.ones(3, 4)).scale_invariant
    ('0.weight',)

    Args:
        model: as it is trained, in train mode; wrappers of DDP and ``torch.compile`` are looked
            through. Frozen parameters are constants. A tied tensor counts once.
        batch: what the model is called with: tensor, tuple (``*batch``) or mapping (``**batch``).
        loss: scalar function of the output; None demands that every floating tensor in the output
            stay unchanged, and uses only the first few samples of the batch.
        per: ``"channel"`` asks for the slices of matrices and filters along their first dimension
            (``conv.weight[3]``) instead of whole tensors. Where they would be too many, only
            tensors that have a slice invariant on its own are sliced.
        progress: called with a line now and then; None: such a line appears on standard error
            after two seconds if that is a terminal.

    Raises:
        UserError: nothing to measure: no trainable parameter, an output that depends on none of
            them, running statistics in use though nothing says that some layers are frozen (the
            model is in eval mode), a forward pass that differs between equal calls.
    """
    report = Late() if progress is None else progress
    model = unwrapped(model)
    _check_parameters(model)
    with untouched(model):
        probe = Probe(model, batch, loss, per_channel=per == "channel")
        normalisation = probe.check()
        if normalisation and not model.training:
            raise UserError(_running_statistics(normalisation, model, batch, loss))
        answer = _searched(probe, report)
    report("")
    return replace(answer, parameters={} if per == "channel" else trainable(model))


def symmetries_in_use(model: nn.Module, batch: Any) -> Symmetries:
    """`symmetries` of a model in the mode that it is trained in, be it eval mode.

    Running statistics are constants then, whatever normalises by them.

    Raises:
        UserError: as `symmetries`, but for running statistics.
    """
    model = unwrapped(model)
    _check_parameters(model)
    report = Late()
    with untouched(model):
        probe = Probe(model, batch, None)
        probe.check()
        answer = _searched(probe, report)
    report("")
    return replace(answer, parameters=trainable(model))


def _searched(probe: Probe, report: Report) -> Symmetries:
    components = _components(probe, report)
    unused = [member for component in components if component.dead for member in component.members]
    if unused and probe.widen(unused):
        components = _components(probe, report)
    return _answer(probe, components, probe.row_as_it_is(), report)


def _running_statistics(normalisation: str, model: nn.Module, batch: Any, loss: Loss | None) -> str:
    """The refusal of a model that normalises by running statistics, and what it would be told."""
    refusal = (
        f"a normalisation{normalisation} uses running statistics, which do not follow the weights: "
        "call model.train() first"
    )
    model.train()
    try:
        names = symmetries(model, batch, loss, progress=silent).scale_invariant
    except Exception:  # whatever it is, the refusal stands
        return refusal
    shown = ", ".join(names[:MOST_NAMES]) + (" and others" if len(names) > MOST_NAMES else "")
    tensors = "1 tensor" if len(names) == 1 else f"{len(names)} tensors"
    count = f"{tensors} would be scale-invariant in train mode"
    return f"{refusal} ({count}: {shown})" if names else f"{refusal} ({count})"


def _check_parameters(model: nn.Module) -> None:
    if isinstance(model, torch.jit.ScriptModule):
        raise UserError("TorchScript cannot be probed: give the module that it was made from")
    if not any(p.requires_grad for p in model.parameters()):
        raise UserError("the model has no trainable parameter: every requires_grad is False")
    if is_sharded(model):
        raise UserError(SHARDED)
    for name, parameter in model.named_parameters():
        if parameter.is_meta:
            raise UserError(SHARDED.replace("a sharded model", "a model without values (meta)"))
        if isinstance(parameter, UninitializedParameter):
            raise UserError(f"parameter {name} has no values yet: call the model once before")
        if parameter.requires_grad and not bool(parameter.detach().isfinite().all()):
            raise UserError(f"parameter {name} holds values that are not finite: probe before that")


def _answer(
    probe: Probe, components: Sequence[Component], own: Row | None, report: Report
) -> Symmetries:
    names = [plain_name(name) for name in probe.pieces]
    reasons = None if len(names) > len(probe.trainable) else Reasons(probe)
    groups = []
    for number, component in enumerate(sorted(components, key=lambda c: min(c.members))):
        report(f"symmetries: why, group {number + 1} of {len(components)}")
        group = _group(component, names, own)
        groups.append(replace(group, why=_why(component, group, own, reasons)))
    touched = {name for group in groups for name in group.names}
    return Symmetries(
        groups=tuple(groups),
        not_invariant=tuple(name for name in names if name not in touched),
        frozen=tuple(plain_name(name) for name in probe.constant),
    )


def _why(component: Component, group: Group, own: Row | None, reasons: Reasons | None) -> str:
    members = sorted(component.members)
    used = own is None or bool(own.gradient_norms[members].any()) or not component.dead
    if reasons is None or not used:
        return sentence(group.kind, group.generators, (), used=used)
    absorbers = []
    if group.kind in ("scale-invariant", "dead") and group.exponents is not None:
        absorbers = reasons.absorbers(members, [group.exponents[name] for name in group.names])
    return sentence(group.kind, group.generators, absorbers)


def _components(probe: Probe, report: Report) -> list[Component]:
    """What the derivatives call symmetries, once finite scalings confirm it.

    A function may be flat only piece by piece (a clipped ReLU). Where a scaling moves the output,
    rows are gathered there, too. If that teaches nothing the function has steps.
    """
    rows: list[Row] = []
    if len(probe.counts) < len(probe.pieces):
        _keep_whole(probe)
    order = _intrinsic_order(probe)
    screened = _screened(probe, order, report)
    components = _thorough(probe, order, rows, report) if screened is None else screened
    for attempt in range(ATTEMPTS):
        if all(component.dead for component in components) and len(components) == len(order):
            raise UserError("the output depends on no trainable parameter on this batch")
        strain = _strain(components, probe, attempt)
        if strain is None:
            return components
        if not rows:
            _gather(probe, torch.float64, DOUBLE, rows, report)
        former, components = components, _thorough(probe, order, rows, report, strain)
        if former == components and attempt:
            break
    raise UserError(
        "scalings that the derivatives call symmetries move the output: the forward pass rounds, "
        "thresholds or detaches (sign, round, argmax, .detach()) what depends on the weights"
    )


def _gather(
    probe: Probe,
    dtype: torch.dtype,
    limits: Limits,
    rows: list[Row],
    report: Report,
    factors: Array | None = None,
) -> EulerProducts:
    """Add to ``rows`` until `SPARE_ROWS` of the new ones have not raised the rank.

    Rows drawn at random raise the rank until they span what there is to span; spare rows that do
    not raise it any more say that they do.
    """
    products = _euler_products(rows, probe, limits) if rows else None
    goal = len(rows) - (products.rank if products else 0) + SPARE_ROWS
    points = refused = 0
    missing = SPARE_ROWS
    while missing > 0 or points < FEWEST_POINTS or products is None:
        # Another point costs a forward pass: fewer of them, as long as every row is news.
        count = max(missing, 1) * (1 << points if missing == SPARE_ROWS else 1)
        found = probe.rows(1 + points + refused, count, dtype, factors)
        points, refused = points + bool(found), refused + (not found)
        if refused > REFUSALS:
            raise UserError("the output is not finite at weights near the model's own")
        rows += found
        if found:
            products = _euler_products(rows, probe, limits)
            missing = products.rank + goal - len(rows)
        report(f"symmetries: {len(rows)} backward passes for {len(probe.sizes)} tensors")
    return products


def _keep_whole(probe: Probe) -> None:
    """Slice only tensors with a slice that is invariant on its own, if all would be too many."""
    rows = [row for seed in range(FEWEST_POINTS) for row in probe.rows(seed, 2, torch.float64)]
    products = _euler_products(rows, probe, DOUBLE)
    if len(products.coupled) > MOST_COUPLED:
        owner = np.repeat(list(probe.counts), list(probe.counts.values()))
        probe.keep_whole(set(probe.counts) - set(owner[products.lone].tolist()))


def _screened(probe: Probe, order: Sequence[int], report: Report) -> list[Component] | None:
    """The answer of single precision, three times as fast, if double precision confirms it."""
    try:
        screen = _gather(probe, torch.float32, SINGLE, [], report)
    except UserError:  # an overflow, perhaps: double precision decides
        return None
    rows = probe.rows(seed=0, count=2, dtype=torch.float64) if screen.clear else []
    if not rows:
        return None
    exact = _euler_products(rows, probe, DOUBLE)
    components = [
        replace(c, residual=0.0 if c.dead else exact.residual(c.members, c.generators))
        for c in screen.components(order)
    ]
    confirmed = all(c.residual < DOUBLE.exact for c in components)
    return components if confirmed and screen.dead == exact.dead else None


def _thorough(
    probe: Probe,
    order: Sequence[int],
    rows: list[Row],
    report: Report,
    strain: Array | None = None,
) -> list[Component]:
    """The answer of double precision, if the rows tell it clearly."""
    products = _gather(probe, torch.float64, DOUBLE, rows, report, strain)
    components = products.components(order) if products.clear else []
    worst = max((component.residual for component in components), default=0.0)
    if not products.clear or worst > DOUBLE.approximate:
        raise UserError(
            "symmetries cannot be told from weak dependence here: the tensors' influence on the "
            "output spans too many orders of magnitude; probe a shallower part of the model"
        )
    return components


def _strain(components: Sequence[Component], probe: Probe, seed: int) -> Array | None:
    """Factors of the pieces that should change nothing and do; None if none are found.

    A random mixture of all exact generators, up and down, then one of the approximate ones; what is
    dead changes its sign, too.
    """
    draw = np.random.default_rng(seed)
    exact = [component for component in components if component.residual < DOUBLE.exact]
    loose = [component for component in components if component.residual >= DOUBLE.exact]
    allowance = DEVIATION * max((component.residual for component in loose), default=0.0)
    for parts, tolerance in ((exact, ROUNDING), (loose, max(allowance, ROUNDING))):
        exponents, signs = _mixture(parts, len(probe.pieces), draw)
        for direction in (1, -1) if parts else ():
            factors: Array = signs * 2 ** (direction * exponents)
            if not probe.survives(factors, tolerance):
                return factors
    return None


def _mixture(
    components: Sequence[Component], pieces: int, draw: np.random.Generator
) -> tuple[Array, Array]:
    """Exponents of all pieces, the largest `LARGEST_EXPONENT`, and signs: −1 for the dead."""
    exponents, signs = np.zeros(pieces), np.ones(pieces)
    for component in components:
        members = list(component.members)
        signs[members] = -1 if component.dead else 1
        for vector in component.generators:
            exponents[members] += draw.choice((-1.0, 1.0)) * np.array(vector)
    return exponents * LARGEST_EXPONENT / max(np.abs(exponents).max(), 1), signs


def _euler_products(rows: Sequence[Row], probe: Probe, limits: Limits) -> EulerProducts:
    root = np.sqrt(probe.sizes)
    return EulerProducts(
        np.array([row.products for row in rows]),
        np.array([row.weight_norms * row.gradient_norms / root for row in rows]),
        limits,
    )


def _intrinsic_order(probe: Probe) -> list[int]:
    """Pieces by size, then norm, then name: a choice that permuting them does not change."""
    keys = list(zip(probe.sizes, probe.norms(), probe.pieces, strict=True))
    return sorted(range(len(keys)), key=keys.__getitem__, reverse=True)


def _group(component: Component, names: Sequence[str], own: Row | None) -> Group:
    """A component in the model's order and by its names, with its kind and leak."""
    place = np.argsort(component.members)
    members = [component.members[i] for i in place]
    generators = [tuple(vector[i] for i in place) for vector in component.generators]
    kind, vector = _kind(component, generators)
    tested = [vector] if vector is not None else generators
    return Group(
        names=tuple(names[member] for member in members),
        generators=tuple(_exponents(members, k, names) for k in generators),
        exponents=None if vector is None else _exponents(members, vector, names),
        kind=kind,
        leak=max(leak(members, k, own, dead=component.dead) for k in tested),
        residual=component.residual,
    )


def _kind(component: Component, generators: list[Vector]) -> tuple[GroupKind, Vector | None]:
    if component.dead:
        return "dead", generators[0]
    positive = smallest_positive(generators)
    if positive is not None:
        return "scale-invariant", positive
    only = generators[0] if len(generators) == 1 else None
    return ("mixed" if holds_nonnegative(generators) else "rescaling"), only


def _exponents(members: list[int], vector: Vector, names: Sequence[str]) -> Exponents:
    return {names[i]: k for i, k in zip(members, vector, strict=True) if k}


def leak(
    members: Sequence[int], vector: ArrayLike, own: Row | None, *, dead: bool = False
) -> float:
    """`Group.leak` of the pieces ``members`` with the exponents ``vector``, in the row ``own``."""
    if own is None:
        return math.nan
    chosen = list(members)
    k, products, gradients = np.array(vector), own.products[chosen], own.gradient_norms[chosen]
    gradient = float(np.linalg.norm(gradients))
    if dead:
        return gradient / (float(np.linalg.norm(own.gradient_norms)) or math.nan)
    size = float(np.linalg.norm(k * own.weight_norms[chosen])) * gradient
    return abs(float(k @ products)) / (size or math.nan)
