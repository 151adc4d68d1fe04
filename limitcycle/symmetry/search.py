"""Find a model's scaling symmetries: gather Euler products until their null space is settled."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from limitcycle.errors import UserError
from limitcycle.symmetry.answer import Exponents, Group, Kind, Symmetries
from limitcycle.symmetry.integers import Vector, holds_nonnegative, smallest_positive
from limitcycle.symmetry.nullspace import DOUBLE, SINGLE, Component, EulerProducts, Limits
from limitcycle.symmetry.probe import Loss, Probe, Row
from limitcycle.symmetry.untouched import trainable, untouched, unwrapped

Array = NDArray[np.float64]

SPARE_ROWS = 5
FEWEST_POINTS = 3
REFUSALS = 5


def symmetries(model: nn.Module, batch: Any, loss: Loss | None = None) -> Symmetries:
    """Which scalings of the trainable tensors leave the model's output unchanged.

    w_i → α^{k_i}·w_i for all i changes nothing, for every input, exactly when Σ k_i⟨w_i, ∂f/∂w_i⟩
    vanishes everywhere. So the Euler products ⟨w_i, ∂f/∂w_i⟩ are gathered at random weights and
    inputs, with vanishing eps, and the null space of their matrix is the answer, confirmed in
    float64. Names and module types play no part. The model comes back untouched.

    Args:
        model: as it is trained, in train mode; wrappers of DDP and ``torch.compile`` are looked
            through. Frozen parameters are constants. A tied tensor counts once.
        batch: what the model is called with: tensor, tuple (``*batch``) or mapping (``**batch``).
        loss: scalar function of the output; None demands that every floating tensor in the output
            stay unchanged, and uses only the first few samples of the batch.

    Raises:
        UserError: nothing to measure: no trainable parameter, an output that depends on none of
            them, running statistics in use, a forward pass that differs between equal calls.
    """
    model = unwrapped(model)
    _check_parameters(model)
    with untouched(model):
        probe = Probe(model, batch, loss)
        probe.check()
        order = _intrinsic_order(probe.trainable)
        components = _screened(probe, order)
        if components is None:
            components = _thorough(probe, order)
        _try_out(components, probe)
        own = probe.row_as_it_is()
    names = [name.replace("_orig_mod.", "") for name in probe.trainable]
    groups = [_group(component, names, own) for component in components]
    groups.sort(key=lambda group: names.index(group.names[0]))
    touched = {name for group in groups for name in group.names}
    return Symmetries(
        groups=tuple(groups),
        not_invariant=tuple(name for name in names if name not in touched),
        frozen=tuple(name.replace("_orig_mod.", "") for name in probe.constant),
        parameters=trainable(model),
    )


def _check_parameters(model: nn.Module) -> None:
    if not any(p.requires_grad for p in model.parameters()):
        raise UserError("the model has no trainable parameter: every requires_grad is False")
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and not bool(parameter.detach().isfinite().all()):
            raise UserError(f"parameter {name} holds values that are not finite: probe before that")


def _gather(probe: Probe, dtype: torch.dtype, limits: Limits) -> EulerProducts:
    """Rows until there are `SPARE_ROWS` more of them than their rank.

    Rows drawn at random raise the rank until they span what there is to span; spare rows that do
    not raise it any more say that they do.
    """
    rows: list[Row] = []
    points = refused = 0
    missing = SPARE_ROWS
    while missing > 0 or points < FEWEST_POINTS:
        found = probe.rows(1 + points + refused, max(missing, 1), dtype)
        points, refused = points + bool(found), refused + (not found)
        if refused > REFUSALS:
            raise UserError("the output is not finite at weights near the model's own")
        rows += found
        if found:
            products = _euler_products(rows, probe.trainable, limits)
            missing = products.rank + SPARE_ROWS - len(rows)
    return products


def _screened(probe: Probe, order: Sequence[int]) -> list[Component] | None:
    """The answer of single precision, three times as fast, if double precision confirms it."""
    try:
        screen = _gather(probe, torch.float32, SINGLE)
    except UserError:  # an overflow, perhaps: double precision decides
        return None
    rows = probe.rows(seed=0, count=2, dtype=torch.float64) if screen.clear else []
    if not rows:
        return None
    exact = _euler_products(rows, probe.trainable, DOUBLE)
    components = [
        dataclasses.replace(c, residual=0.0 if c.dead else exact.residual(c.members, c.generators))
        for c in screen.components(order)
    ]
    confirmed = all(c.residual < DOUBLE.exact for c in components)
    return components if confirmed and screen.dead == exact.dead else None


def _thorough(probe: Probe, order: Sequence[int]) -> list[Component]:
    """The answer of double precision, if the rows tell it clearly."""
    products = _gather(probe, torch.float64, DOUBLE)
    components = products.components(order) if products.clear else []
    worst = max((component.residual for component in components), default=0.0)
    if not products.clear or worst > DOUBLE.approximate:
        raise UserError(
            "symmetries cannot be told from weak dependence here: the tensors' influence on the "
            "output spans too many orders of magnitude; probe a shallower part of the model"
        )
    return components


def _try_out(components: Sequence[Component], probe: Probe) -> None:
    """Scale by a random mixture of all exact generators: derivatives do not see a step function."""
    names, signs = list(probe.trainable), np.random.default_rng(0)
    exponents = dict.fromkeys(names, 0.0)
    for component in components:
        for vector in component.generators if component.residual < DOUBLE.exact else ():
            sign = signs.choice((-1.0, 1.0))
            for member, k in zip(component.members, vector, strict=True):
                exponents[names[member]] += sign * k
    if not probe.survives(exponents):
        raise UserError(
            "scalings that the derivatives call symmetries move the output: the forward pass "
            "rounds or thresholds (sign, round, argmax) what depends on the weights"
        )


def _euler_products(
    rows: Sequence[Row], trainable: dict[str, Tensor], limits: Limits
) -> EulerProducts:
    root = np.sqrt([max(p.numel(), 1) for p in trainable.values()])
    return EulerProducts(
        np.array([row.products for row in rows]),
        np.array([row.weight_norms * row.gradient_norms / root for row in rows]),
        limits,
    )


def _intrinsic_order(trainable: dict[str, Tensor]) -> list[int]:
    """Tensors by size, then norm, then name: a choice that permuting them does not change."""
    keys = [(p.numel(), float(p.double().norm()), name) for name, p in trainable.items()]
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
        leak=max(_leak(members, k, own, dead=component.dead) for k in tested),
        residual=component.residual,
    )


def _kind(component: Component, generators: list[Vector]) -> tuple[Kind, Vector | None]:
    if component.dead:
        return "dead", generators[0]
    positive = smallest_positive(generators)
    if positive is not None:
        return "scale-invariant", positive
    only = generators[0] if len(generators) == 1 else None
    return ("mixed" if holds_nonnegative(generators) else "rescaling"), only


def _exponents(members: list[int], vector: Vector, names: Sequence[str]) -> Exponents:
    return {names[i]: k for i, k in zip(members, vector, strict=True) if k}


def _leak(members: list[int], vector: Vector, own: Row | None, *, dead: bool) -> float:
    if own is None:
        return math.nan
    k, products, gradients = np.array(vector), own.products[members], own.gradient_norms[members]
    gradient = float(np.linalg.norm(gradients))
    if dead:
        return gradient / (float(np.linalg.norm(own.gradient_norms)) or math.nan)
    size = float(np.linalg.norm(k * own.weight_norms[members])) * gradient
    return abs(float(k @ products)) / (size or math.nan)
