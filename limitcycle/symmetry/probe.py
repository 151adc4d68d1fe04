"""Rows of Euler products: the model's outputs differentiated at perturbed weights and inputs.

A probe is a forward pass in `Arithmetic` with every trainable tensor moved at random, and a few
backward passes from random projections of its outputs. A symmetry holds everywhere, an accident of
the initialisation (a zero bias, equal scales) does not survive.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from limitcycle.errors import UserError
from limitcycle.symmetry.arithmetic import Arithmetic
from limitcycle.symmetry.nullspace import SINGLE
from limitcycle.symmetry.untouched import seed_all

Array = NDArray[np.float64]
Loss = Callable[[Any], Tensor]

SAMPLES = 4
INPUT_NOISE = 0.25
FULL_NOISE = 0.9
ROUNDING = 1e-6
BLOCK = 1 << 20
LARGE = 20_000_000


@dataclass(frozen=True)
class Row:
    """One projection's Euler products ⟨w_i, g_i⟩, and ‖w_i‖ and ‖g_i‖; each of shape (pieces,)."""

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
        per_channel: ask for the slices of matrices along their first dimension, not for tensors.

    Attributes:
        counts: how many pieces each trainable tensor has.
    """

    def __init__(
        self, model: nn.Module, batch: Any, loss: Loss | None, *, per_channel: bool = False
    ) -> None:
        self.model, self.loss = model, loss
        self.batch = batch
        self.few = batch if loss is not None else first_samples(batch, SAMPLES)
        named = dict(model.named_parameters())
        self.trainable = {name: p.detach() for name, p in named.items() if p.requires_grad}
        self.constant = {name: p.detach() for name, p in named.items() if not p.requires_grad}
        self.buffers = {name: buffer.detach() for name, buffer in model.named_buffers()}
        self.counts = {
            name: len(p) if per_channel and p.ndim > 1 else 1 for name, p in self.trainable.items()
        }
        self.noise = FULL_NOISE

    @property
    def pieces(self) -> list[str]:
        """Names of what is asked for: tensors, or their slices ``name[index]``."""
        return [
            f"{name}[{index}]" if count > 1 else name
            for name, count in self.counts.items()
            for index in range(count)
        ]

    @property
    def sizes(self) -> Array:
        """How many numbers each piece holds, at least one."""
        tensors = self.trainable.items()
        sizes = [max(p.numel() // self.counts[name], 1) for name, p in tensors]
        return np.repeat(np.array(sizes, dtype=float), list(self.counts.values()))

    def _independent(self, outputs: list[Tensor]) -> bool:
        """Whether a large model treats each sample by itself, so that one is enough.

        Dropout, which draws other masks for fewer samples, is left out of the comparison.
        """
        size = sum(p.numel() for p in self.trainable.values())
        one = first_samples(self.few, 1)
        if size < LARGE or self.loss is not None or one is self.few:
            return False
        try:
            together, alone = (self._without_dropout(value) for value in (self.few, one))
        except Exception:  # the model insists on several samples
            return False
        return all(out.ndim for out in outputs) and all(
            len(a) == 1 and bool((a - b[:1]).norm() <= 1e-4 * a.norm())
            for a, b in zip(alone, together, strict=True)
        )

    def _without_dropout(self, batch: Any) -> list[Tensor]:
        arithmetic = Arithmetic(torch.float32, dropout=False)
        cast = partial(_cast, dtype=torch.float32)
        tensors = {**self.trainable, **self.constant, **self.buffers}
        copies = {name: cast(tensor.clone()) for name, tensor in tensors.items()}
        seed_all(0)
        with torch.no_grad(), arithmetic:
            output = _call(self.model, copies, map_tensors(batch, lambda t: cast(t.clone())))
        return [out for out in tensors_of(output) if out.is_floating_point() and out.ndim]

    def norms(self) -> Array:
        """The pieces' norms in the model as it is."""
        flat = [_flat(p, self.counts[name]) for name, p in self.trainable.items()]
        norms: Array = (
            torch.cat([_products(weight, weight) for weight in flat]).sqrt().cpu().numpy()
        )
        return norms

    def check(self) -> str:
        """Refuse what has no answer: signs for values, a forward pass that changes.

        Running statistics are constants.

        Returns:
            where a normalisation uses running statistics, "" if none does.
        """
        arithmetic = Arithmetic(torch.float64)
        try:
            _, first = self._at(0, arithmetic)
        except Exception:
            if self.few is self.batch:
                raise
            self.few = self.batch  # the model may insist on the size of its batch
            _, first = self._at(0, arithmetic)
        if self._independent(first):
            self.few = first_samples(self.few, 1)
            _, first = self._at(0, arithmetic)
        self._reference = [out.detach() for out in first]
        if not first:
            raise UserError("the output depends on no trainable parameter: nothing to probe")
        if arithmetic.few_values is not None:
            raise UserError(
                f"a normalisation over {arithmetic.few_values} values leaves only signs: "
                "give a batch of at least four samples, or larger groups"
            )
        if not self.survives(np.ones(len(self.pieces))):
            raise UserError(
                "the forward pass differs between two equal calls from the same random state: "
                "remove what it keeps from one call to the next, or a generator of its own"
            )
        return _frozen_statistics(self.model) if arithmetic.running_statistics else ""

    def widen(self, unused: Collection[int]) -> bool:
        """Ask with the whole batch from now on, if pieces that the few samples left unused use it.

        Experts, heads and layers of a domain are reached by some samples only.

        Returns:
            whether there is anything new to ask.
        """
        if self.few is self.batch:
            return False
        few, self.few = self.few, self.batch
        try:
            row = self.row_as_it_is()
        except Exception:  # too large to be asked at once
            row = None
        if row is None or not _are_used(row.gradient_norms, unused):
            self.few = few
            return False
        self._reference = [out.detach() for out in self._at(0, Arithmetic(torch.float64))[1]]
        return True

    def rows(
        self, seed: int, count: int, dtype: torch.dtype, factors: Array | None = None
    ) -> list[Row]:
        """Up to ``count`` rows at the random point of ``seed``; none where it is not finite."""
        weights, outputs = self._at(seed, Arithmetic(dtype), factors)
        count = min(count, sum(out.numel() for out in outputs))
        rows = _rows(weights, outputs, count, self.counts)
        if rows and all(np.isfinite(row.products).all() for row in rows):
            return rows
        self.noise /= 4
        return []

    def survives(self, factors: Array, tolerance: float = ROUNDING) -> bool:
        """Whether multiplying the pieces leaves the outputs at a random point where they were."""
        noise, self.noise = self.noise, FULL_NOISE
        try:
            _, outputs = self._at(0, Arithmetic(torch.float64), factors)
        finally:
            self.noise = noise
        return _alike(self._reference, outputs, tolerance)

    def outputs(self, factors: Array, dtype: torch.dtype) -> None:
        """A forward pass at a random point with the pieces multiplied by ``factors``."""
        with torch.no_grad():
            self._at(0, Arithmetic(dtype), factors)

    def keep_whole(self, tensors: Collection[str]) -> None:
        """Ask for the given tensors as they are, not for their slices."""
        for name in tensors:
            self.counts[name] = 1

    def row_as_it_is(self, factors: Array | None = None) -> Row | None:
        """A row in the model's own arithmetic, on its own inputs, at its own weights (times …)."""
        seed_all(0)
        weights = {name: p.clone().requires_grad_() for name, p in self.trainable.items()}
        if factors is not None:
            weights = self._scaled(weights, factors)
        constant = self.constant | {name: b.clone() for name, b in self.buffers.items()}
        output = _call(self.model, weights | constant, map_tensors(self.few, torch.clone))
        return next(iter(_rows(weights, self._projectable(output), 1, self.counts)), None)

    def _at(
        self, seed: int, arithmetic: Arithmetic, factors: Array | None = None
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Weights at the random point of ``seed`` (times the pieces' factors), and the outputs."""
        seed_all(seed)
        cast = partial(_cast, dtype=arithmetic.dtype)
        weights = {
            name: self._moved(cast(p)).requires_grad_() for name, p in self.trainable.items()
        }
        if factors is not None:
            weights = self._scaled(weights, factors)
        constant = {name: cast(p) for name, p in self.constant.items()}
        constant |= {name: cast(b.clone()) for name, b in self.buffers.items()}
        batch = map_tensors(self.few, lambda tensor: _moved_input(cast(tensor.detach().clone())))
        with arithmetic:
            return weights, self._projectable(_call(self.model, weights | constant, batch))

    def _scaled(self, weights: dict[str, Tensor], factors: Array) -> dict[str, Tensor]:
        """Leaves that hold ``weights`` with each piece multiplied by its factor."""
        ends = np.cumsum(list(self.counts.values()))[:-1]
        scaled = {}
        for (name, weight), part in zip(weights.items(), np.split(factors, ends), strict=True):
            factor = torch.from_numpy(part).to(weight.device, weight.dtype)
            shape = (-1, *[1] * (weight.ndim - 1)) if weight.ndim else ()
            scaled[name] = (weight.detach() * factor.reshape(shape)).requires_grad_()
        return scaled

    def _moved(self, weight: Tensor) -> Tensor:
        """``weight`` plus noise that neither drowns nor amplifies what flows through it.

        A matrix ends with entries of about √(2/fan-in), which a ReLU net of any depth can bear, or
        of its own size where that is larger; a vector is moved by a third of its size, or of one.
        """
        vector = weight.ndim < 2
        floor = 1.0 if vector else (2 * len(weight) / weight.numel()) ** 0.5
        size = torch.clamp(weight.abs().square().mean().sqrt(), min=floor)
        size = size * (1 / 3 if vector else 1)
        uniform = 2 * torch.rand_like(weight) - 1  # of variance 1/3
        return weight + self.noise * size * 3**0.5 * uniform

    def _projectable(self, output: Any) -> list[Tensor]:
        """What must not change: the loss, or the floating tensors that depend on the weights."""
        if self.loss is not None:
            value = self.loss(output)
            if not isinstance(value, Tensor) or value.numel() != 1:
                raise UserError("loss(output) must return a scalar tensor")
            return [value]
        real = [torch.view_as_real(o) if o.is_complex() else o for o in tensors_of(output)]
        return [out for out in real if out.is_floating_point() and out.requires_grad]


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
    """The first ``count`` samples, where all tensors of the batch agree on how many there are.

    A tensor without dimensions (a number of tokens, say) holds none.
    """
    lengths = {len(tensor) for tensor in tensors_of(batch) if tensor.ndim}
    if len(lengths) == 1 and lengths.pop() > count:
        return map_tensors(batch, lambda tensor: tensor[:count] if tensor.ndim else tensor)
    return batch


def _rows(
    weights: dict[str, Tensor], outputs: list[Tensor], count: int, pieces: dict[str, int]
) -> list[Row]:
    """Backward passes from ``count`` random projections of the outputs, each scaled to size one."""
    if not outputs or not all(bool(out.isfinite().all()) for out in outputs):
        return []
    leaves, rows = list(weights.values()), []
    flat = [_flat(leaf.detach(), pieces[name]) for name, leaf in weights.items()]
    norms = torch.cat([_products(weight, weight) for weight in flat]).sqrt()
    sized = [(out, out.detach().double().norm().clamp(min=1e-300)) for out in outputs]
    for left in range(count - 1, -1, -1):
        directions = [torch.randn_like(out) / size for out, size in sized]
        gradients = torch.autograd.grad(
            outputs, leaves, directions, retain_graph=left > 0, allow_unused=True
        )
        rows.append(_row(flat, norms, gradients))
    return rows


def _row(weights: list[Tensor], norms: Tensor, gradients: tuple[Tensor | None, ...]) -> Row:
    values = []
    for weight, gradient in zip(weights, gradients, strict=True):
        if gradient is None:
            values.append(norms.new_zeros(2, len(weight)))
        else:
            flat = _flat(gradient, len(weight))
            values.append(torch.stack([_products(weight, flat), flat.norm(dim=1).double()]))
    products, sizes = torch.cat(values, dim=1).cpu().numpy()
    return Row(products, norms.cpu().numpy(), sizes)


def _are_used(gradient_norms: Array, pieces: Collection[int]) -> bool:
    """Whether one of ``pieces`` has more of a gradient than rounding leaves of none."""
    return bool(gradient_norms[list(pieces)].max() > SINGLE.dead * gradient_norms.max())


def _flat(tensor: Tensor, pieces: int) -> Tensor:
    """``tensor`` with one row a piece; a complex number is a pair of real ones."""
    dense = tensor.to_dense() if tensor.is_sparse else tensor
    real = torch.view_as_real(dense) if dense.is_complex() else dense
    return real.reshape(pieces, -1)


def _products(first: Tensor, second: Tensor) -> Tensor:
    """Inner products of rows in float64, block by block: a wide copy of all would be large."""
    total = torch.zeros(len(first), dtype=torch.float64, device=first.device)
    width = max(BLOCK // max(len(first), 1), 1)
    for start in range(0, first.shape[1], width):
        a, b = (part[:, start : start + width].double() for part in (first, second))
        total += torch.dot(a[0], b[0]) if len(a) == 1 else (a * b).sum(dim=1)
    return total


def _call(model: nn.Module, tensors: dict[str, Tensor], batch: Any) -> Any:
    if isinstance(batch, Mapping):
        return functional_call(model, tensors, (), dict(batch))
    return functional_call(model, tensors, batch if isinstance(batch, tuple) else (batch,))


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    if tensor.is_complex():
        return tensor.to(dtype.to_complex())
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _moved_input(tensor: Tensor) -> Tensor:
    """Floating inputs times a factor near one: zeros, signs and infinities stay.

    Whole numbers stay as they are: they may be a mask, times or categories.
    """
    if not tensor.is_floating_point() or bool((tensor == tensor.round()).all()):
        return tensor
    return tensor * (1 + INPUT_NOISE * (2 * torch.rand_like(tensor) - 1))


def _alike(first: list[Tensor], again: list[Tensor], tolerance: float) -> bool:
    """Whether outputs are equal but for rounding; those that are not finite are not compared."""
    if [out.shape for out in first] != [out.shape for out in again]:
        return False
    pairs = [(a, b) for a, b in zip(first, again, strict=True) if bool(a.isfinite().all())]
    return all(bool((a - b).norm() <= tolerance * a.norm()) for a, b in pairs)


def _frozen_statistics(model: nn.Module) -> str:
    for name, module in model.named_modules():
        if getattr(module, "running_mean", None) is not None and not module.training:
            return f" ({name or 'the model'})"
    return " (a functional one)"
