"""Rows of Euler products: the model's outputs differentiated at perturbed weights and inputs.

A probe is a forward pass in `Arithmetic` with every trainable tensor moved at random, and a few
backward passes from random projections of its outputs. A symmetry holds everywhere, an accident of
the initialisation (a zero bias, equal scales) does not survive.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from limitcycle.errors import UserError
from limitcycle.symmetry.arithmetic import Arithmetic
from limitcycle.symmetry.untouched import seed_all

Array = NDArray[np.float64]
Loss = Callable[[Any], Tensor]

SAMPLES = 4
INPUT_NOISE = 0.25
FULL_NOISE = 0.9
ROUNDING = 1e-6


@dataclass(frozen=True)
class Row:
    """One projection's Euler products ⟨w_i, g_i⟩, and ‖w_i‖ and ‖g_i‖; each of shape (tensors,)."""

    products: Array
    weight_norms: Array
    gradient_norms: Array


class Probe:
    """A model, a batch and a loss, asked for Euler products.

    Args:
        model: called with the batch: tensor → ``model(b)``, tuple → ``model(*b)``, mapping →
            ``model(**b)``.
        batch: its first few samples are used where no loss is given and they can be told.
        loss: scalar function of the output; None: every floating tensor of the output, projected.
    """

    def __init__(self, model: nn.Module, batch: Any, loss: Loss | None) -> None:
        self.model, self.loss = model, loss
        self.batch = batch
        self.few = batch if loss is not None else first_samples(batch, SAMPLES)
        named = dict(model.named_parameters())
        self.trainable = {name: p.detach() for name, p in named.items() if p.requires_grad}
        self.constant = {name: p.detach() for name, p in named.items() if not p.requires_grad}
        self.buffers = {name: buffer.detach() for name, buffer in model.named_buffers()}
        self.noise = FULL_NOISE

    def check(self) -> None:
        """Refuse what has no answer: running statistics, signs for values, a changing forward."""
        arithmetic = Arithmetic(torch.float64)
        try:
            _, first = self._at(0, arithmetic)
        except Exception:
            if self.few is self.batch:
                raise
            self.few = self.batch  # the model may insist on the size of its batch
            _, first = self._at(0, arithmetic)
        self._reference = [out.detach() for out in first]
        if not first:
            raise UserError("the output depends on no trainable parameter: nothing to probe")
        if arithmetic.running_statistics:
            raise UserError(
                f"a normalisation{_frozen_statistics(self.model)} uses running statistics, which "
                "do not follow the weights: call model.train() first"
            )
        if arithmetic.few_values is not None:
            raise UserError(
                f"a normalisation over {arithmetic.few_values} values leaves only signs: "
                "give a batch of at least four samples, or larger groups"
            )
        if not self.survives({}):
            raise UserError(
                "the forward pass differs between two equal calls from the same random state: "
                "remove what it keeps from one call to the next, or a generator of its own"
            )

    def rows(self, seed: int, count: int, dtype: torch.dtype) -> list[Row]:
        """Up to ``count`` rows at the random point of ``seed``; none where it is not finite."""
        weights, outputs = self._at(seed, Arithmetic(dtype))
        rows = _rows(weights, outputs, min(count, sum(out.numel() for out in outputs)))
        if rows and all(np.isfinite(row.products).all() for row in rows):
            return rows
        self.noise /= 4
        return []

    def survives(self, exponents: Mapping[str, float]) -> bool:
        """Whether w_i → 2^{k_i}·w_i leaves the outputs at a random point where they were."""
        noise, self.noise = self.noise, FULL_NOISE
        try:
            _, outputs = self._at(0, Arithmetic(torch.float64), exponents)
        finally:
            self.noise = noise
        return _alike(self._reference, outputs)

    def row_as_it_is(self) -> Row | None:
        """A row in the model's own arithmetic, at its own weights and on its own inputs."""
        seed_all(0)
        weights = {name: p.clone().requires_grad_() for name, p in self.trainable.items()}
        constant = self.constant | {name: b.clone() for name, b in self.buffers.items()}
        output = _call(self.model, weights | constant, map_tensors(self.few, torch.clone))
        return next(iter(_rows(weights, self._projectable(output), 1)), None)

    def _at(
        self,
        seed: int,
        arithmetic: Arithmetic,
        exponents: Mapping[str, float] = MappingProxyType({}),
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Weights at the random point of ``seed`` (then scaled by 2^exponent), and the outputs."""
        seed_all(seed)
        cast = partial(_cast, dtype=arithmetic.dtype)
        moved = {name: self._moved(cast(p)) for name, p in self.trainable.items()}
        weights = {
            name: (p * 2.0 ** exponents.get(name, 0)).requires_grad_() for name, p in moved.items()
        }
        constant = {name: cast(p) for name, p in self.constant.items()}
        constant |= {name: cast(b.clone()) for name, b in self.buffers.items()}
        batch = map_tensors(self.few, lambda tensor: _moved_input(cast(tensor.detach().clone())))
        with arithmetic:
            return weights, self._projectable(_call(self.model, weights | constant, batch))

    def _moved(self, weight: Tensor) -> Tensor:
        """``weight`` plus noise that neither drowns nor amplifies what flows through it.

        A matrix ends with entries of about √(2/fan-in), which a ReLU net of any depth can bear, or
        of its own size where that is larger; a vector is moved by a third of its size, or of one.
        """
        vector = weight.ndim < 2
        floor = 1.0 if vector else (2 * len(weight) / weight.numel()) ** 0.5
        size = torch.clamp(weight.square().mean().sqrt(), min=floor) * (1 / 3 if vector else 1)
        uniform = 2 * torch.rand_like(weight) - 1  # of variance 1/3
        return weight + self.noise * size * 3**0.5 * uniform

    def _projectable(self, output: Any) -> list[Tensor]:
        """What must not change: the loss, or the floating tensors that depend on the weights."""
        if self.loss is not None:
            value = self.loss(output)
            if not isinstance(value, Tensor) or value.numel() != 1:
                raise UserError("loss(output) must return a scalar tensor")
            return [value]
        return [out for out in tensors_of(output) if out.is_floating_point() and out.requires_grad]


def map_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """``value`` with every tensor in it changed; mappings, tuples and lists are rebuilt plain."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {key: map_tensors(item, change) for key, item in value.items()}
    if isinstance(value, tuple | list):
        items = [map_tensors(item, change) for item in value]
        return value._make(items) if hasattr(value, "_make") else type(value)(items)
    return value


def tensors_of(value: Any) -> list[Tensor]:
    """The tensors in a tensor, mapping, sequence or dataclass, depth first."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        return [tensor for item in value.values() for tensor in tensors_of(item)]
    if isinstance(value, tuple | list):
        return [tensor for item in value for tensor in tensors_of(item)]
    if is_dataclass(value) and not isinstance(value, type):
        return tensors_of([getattr(value, field.name) for field in fields(value)])
    return []


def first_samples(batch: Any, count: int) -> Any:
    """The first ``count`` samples, where all tensors of the batch agree on how many there are."""
    lengths = {len(tensor) if tensor.ndim else -1 for tensor in tensors_of(batch)}
    if len(lengths) == 1 and lengths.pop() > count:
        return map_tensors(batch, lambda tensor: tensor[:count])
    return batch


def _rows(weights: dict[str, Tensor], outputs: list[Tensor], count: int) -> list[Row]:
    """Backward passes from ``count`` random projections of the outputs, each scaled to size one."""
    if not outputs or not all(bool(out.isfinite().all()) for out in outputs):
        return []
    leaves, rows = list(weights.values()), []
    flat = [leaf.detach().double().flatten() for leaf in leaves]
    norms = torch.stack([weight.norm() for weight in flat])
    sized = [(out, out.detach().double().norm().clamp(min=1e-300)) for out in outputs]
    for left in range(count - 1, -1, -1):
        directions = [torch.randn_like(out) / size for out, size in sized]
        gradients = torch.autograd.grad(
            outputs, leaves, directions, retain_graph=left > 0, allow_unused=True
        )
        rows.append(_row(flat, norms, gradients))
    return rows


def _row(weights: list[Tensor], norms: Tensor, gradients: tuple[Tensor | None, ...]) -> Row:
    nothing = torch.zeros(2, dtype=torch.float64, device=norms.device)
    values = []
    for weight, gradient in zip(weights, gradients, strict=True):
        if gradient is not None:
            gradient = gradient.double().flatten()
            values.append(torch.stack([torch.dot(weight, gradient), gradient.norm()]))
        else:
            values.append(nothing)
    products, sizes = torch.stack(values, dim=1).cpu().numpy()
    return Row(products, norms.cpu().numpy(), sizes)


def _call(model: nn.Module, tensors: dict[str, Tensor], batch: Any) -> Any:
    if isinstance(batch, Mapping):
        return functional_call(model, tensors, (), dict(batch))
    return functional_call(model, tensors, batch if isinstance(batch, tuple) else (batch,))


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _moved_input(tensor: Tensor) -> Tensor:
    """Floating inputs times a factor near one: zeros, signs and infinities (masks) stay."""
    if not tensor.is_floating_point():
        return tensor
    return tensor * (1 + INPUT_NOISE * (2 * torch.rand_like(tensor) - 1))


def _alike(first: list[Tensor], again: list[Tensor]) -> bool:
    """Whether outputs are equal but for rounding; those that are not finite are not compared."""
    if [out.shape for out in first] != [out.shape for out in again]:
        return False
    pairs = [(a, b) for a, b in zip(first, again, strict=True) if bool(a.isfinite().all())]
    return all(bool((a - b).norm() <= ROUNDING * a.norm()) for a, b in pairs)


def _frozen_statistics(model: nn.Module) -> str:
    for name, module in model.named_modules():
        if getattr(module, "running_mean", None) is not None and not module.training:
            return f" ({name or 'the model'})"
    return ""
