"""Inner products of weights with their gradients and updates, group by group, left on the device.

Everything about a step follows from a small Gram matrix a group, of x_t, ∇f and Δ = x_{t+1} − x_t.
They add up over tensors, and over groups to the joint one. Small tensors are packed into one
float64 buffer, so that their number costs no calls; large ones are measured in place, in pieces
that stay in the cache, so that they cost no copies.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, groupby, islice
from operator import itemgetter
from typing import NamedTuple

import torch
from torch import Tensor

LARGE = 2**14  # entries from which a tensor is measured in place
CHUNK = 2**8  # entries of packed tensors that are multiplied at once
PIECE = 2**19  # entries of a large tensor that are measured at once, to stay in the cache
ROW = 2**10  # entries whose squares are added in float32: of more the rounding adds up
COARSE = 100  # times as much parallel to x as across it, squared: 1e-5 of a turn is rounded away
_TINY = 1e-30  # of a squared norm, so that zeros can be divided by


class InnerProducts:
    """Measures tensors in groups; all of them on one device.

    Args:
        tensors: the weights, of any shape, dtype and memory format.
        groups: the group of each, 0 … ``count`` − 1, in ascending order.
        count: number of groups.
    """

    def __init__(self, tensors: Sequence[Tensor], groups: Sequence[int], count: int) -> None:
        pairs = list(zip(tensors, groups, strict=True))
        large: dict[torch.dtype, list[tuple[Tensor, int]]] = {}
        for pair in pairs:
            if pair[0].numel() >= LARGE:
                # Sums in half precision would be noise.
                dtype = torch.promote_types(as_real(pair[0]).dtype, torch.float32)
                large.setdefault(dtype, []).append(pair)
        packed = _Packed([pair for pair in pairs if pair[0].numel() < LARGE])
        self._parts: list[_Packed | _Large] = [
            packed,
            *(_Large(alike, dtype) for dtype, alike in large.items()),
        ]

    def before(self, gram: Tensor, *, updates: bool) -> None:
        """At x_t, when its gradients are there.

        Args:
            gram: (groups, 3, 3), zeros; gets the inner products of (x_t, ∇f, Δ), of which that of
                ∇f with Δ is not defined. A missing gradient counts as zero.
            updates: whether Δ is measured: then `after` completes ``gram``. If not, what belongs
                to Δ stays zero.
        """
        for part in self._parts:
            part.before(gram, updates)

    def after(self, gram: Tensor) -> None:
        """At x_{t+1}: complete what `before` began."""
        for part in self._parts:
            part.after(gram)


class _Packed:
    """Small tensors, copied side by side; row 0 holds x_t, row 1 the gradients, row 2 the updates.

    Each group fills whole chunks, zeros at its end, so that one batched product makes all Gram
    matrices however many groups there are; with updates it is made once, after the step.
    """

    def __init__(self, pairs: Sequence[tuple[Tensor, int]]) -> None:
        self._weights = [tensor for tensor, _ in pairs]
        self._complex = any(weight.is_complex() for weight in self._weights)
        sizes, filled, owners = _in_chunks(pairs)
        device = self._weights[0].device if self._weights else None
        rows = torch.zeros(3, sum(sizes), dtype=torch.float64, device=device)
        self._x, self._gradient, self._update = rows
        parts = ([torch.split(row, sizes)[index] for index in filled] for row in rows)
        self._at_x, self._at_gradient, self._at_update = (
            [part.view(weight.shape) for part, weight in zip(row, self._now(), strict=True)]
            for row in parts
        )
        chunks = rows.view(3, -1, CHUNK).transpose(0, 1)
        self._all = chunks, chunks.mT
        self._first_two = chunks[:, :2], chunks[:, :2].mT
        self._owners = torch.tensor(owners, dtype=torch.long, device=device)

    def before(self, gram: Tensor, updates: bool) -> None:
        if not self._weights:
            return
        gradients = [weight.grad for weight in self._weights]
        places, here = self._at_gradient, [each for each in gradients if each is not None]
        if self._complex:
            here = [as_real(each) for each in here]
        if len(here) < len(gradients):
            self._gradient.zero_()
            pairs = zip(places, gradients, strict=True)
            places = [place for place, gradient in pairs if gradient is not None]
        torch._foreach_copy_(self._at_x + places, self._now() + here)
        if not updates:
            gram[:, :2, :2].index_add_(0, self._owners, torch.bmm(*self._first_two))

    def after(self, gram: Tensor) -> None:
        if not self._weights:
            return
        torch._foreach_copy_(self._at_update, self._now())
        self._update.sub_(self._x)
        gram.index_add_(0, self._owners, torch.bmm(*self._all))

    def _now(self) -> list[Tensor]:
        """The weights as they are; optimizers may have put others into their place."""
        return [as_real(each) for each in self._weights] if self._complex else self._weights


class _Piece(NamedTuple):
    """Where the products of a piece go: views that are made once. Those of Δ after the step.

    ``cross``, ``along``: ⟨x, ∇f⟩ and ⟨x, a⟩ of a = x_{t+1} − s·x; ``shrink``: s; ``x``,
    ``gradient``, ``across``: norms of the rows of x, ∇f and a.
    """

    cross: Tensor
    along: Tensor
    shrink: Tensor
    x: Tensor
    gradient: Tensor
    across: Tensor


class _Large:
    """Large tensors, where they lie; the last first, which an optimizer leaves in the cache.

    Args:
        pairs: tensors and their groups.
        dtype: that products of all of them are made in.
    """

    def __init__(self, pairs: Sequence[tuple[Tensor, int]], dtype: torch.dtype) -> None:
        self._weights = [_InPieces(tensor, dtype) for tensor, _ in pairs[::-1]]
        self._before: list[list[Tensor]] = []  # x_t in pieces
        self._on_cpu = pairs[0][0].device.type == "cpu"
        sizes = [size for weight in self._weights for size in weight.sizes]
        rows = [max(1, size // ROW) for size in sizes]
        groups = [g for w, (_, g) in zip(self._weights, pairs[::-1], strict=True) for _ in w.sizes]
        device = pairs[0][0].device
        self._groups = torch.tensor(groups, device=device)  # of each piece
        self._owners = torch.repeat_interleave(torch.tensor(rows, device=device))  # of each row
        empty = partial(torch.empty, dtype=dtype, device=device)
        self._scalars, self._norms = empty(3, len(sizes)), empty(3, sum(rows))
        self._scalars[2] = 1
        self._room = empty(PIECE)
        self._square = empty(0)  # ⟨x_t, x_t⟩ of each piece, never zero
        views = [*(each.unbind() for each in self._scalars), *(n.split(rows) for n in self._norms)]
        pieces = iter([_Piece(*each) for each in zip(*views, strict=True)])
        self._pieces = [list(islice(pieces, len(weight.sizes))) for weight in self._weights]

    def before(self, gram: Tensor, updates: bool) -> None:
        if updates and not self._before:
            self._before = [[torch.empty_like(x) for x in w.now()] for w in self._weights]
        kept = chain.from_iterable(self._before)
        for weight, pieces in zip(self._weights, self._pieces, strict=True):
            for x, g, piece in zip(weight.now(), weight.gradient(), pieces, strict=True):
                torch.dot(x, g, out=piece.cross)
                _norms(x, piece.x)
                if updates:
                    next(kept).copy_(x)  # now, while it is in the cache
                _norms(g, piece.gradient)
        square, other = self._squares(self._norms[:2], gram.dtype)
        cross = self._scalars[0].to(gram.dtype)
        products = torch.stack([square, cross, cross, other], dim=1)
        gram[:, :2, :2].index_add_(0, self._groups, products.view(-1, 2, 2))
        self._square = square + _TINY

    def after(self, gram: Tensor) -> None:
        # Weight decay makes the update nearly parallel to x, and what turns x would drown in the
        # rounding of float32. So x_{t+1} is split into s·x_t and a rest, first. The s of the step
        # before does nearly always, and costs nothing; only a CPU knows at once whether it did.
        if not self._on_cpu:
            self._find_shrink()
        square, along, across, shrink = self._split(gram.dtype)
        if self._on_cpu and _is_coarse(square, along, across):
            self._scalars[2] = shrink + along / square
            square, along, across, shrink = self._split(gram.dtype)
        change = shrink - 1
        inner = change * square + along
        length = (change * (change * square + 2 * along) + across).clamp(min=0)
        products = torch.stack([torch.zeros_like(inner), inner, inner, length], dim=1)
        gram[:, ::2, ::2].index_add_(0, self._groups, products.view(-1, 2, 2))
        # A run that has blown up may be brought back.
        self._scalars[2] = torch.nan_to_num(shrink + along / square, 1.0, 1.0, 1.0)

    def _find_shrink(self) -> None:
        for new, old, piece in self._after():
            torch.dot(old, new, out=piece.shrink)
        self._scalars[2] = (self._scalars[2] + _TINY) / self._square  # 1 for zeros

    def _split(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """⟨x, x⟩, ⟨x, a⟩, ⟨a, a⟩ and s of each piece."""
        for new, old, piece in self._after():
            rest = torch.addcmul(new, old, piece.shrink, value=-1, out=self._room[: len(old)])
            torch.dot(old, rest, out=piece.along)
            _norms(rest, piece.across)
        along, shrink = self._scalars[1:].to(dtype, copy=True)
        return self._square, along, self._squares(self._norms[2:], dtype)[0], shrink

    def _after(self) -> Iterator[tuple[Tensor, Tensor, _Piece]]:
        """x_{t+1}, x_t and the place of each piece."""
        for weight, before, pieces in zip(self._weights, self._before, self._pieces, strict=True):
            yield from zip(weight.now(), before, pieces, strict=True)

    def _squares(self, norms: Tensor, dtype: torch.dtype) -> Tensor:
        """Squared norms of the pieces from those of their rows; (k, pieces) from (k, rows)."""
        sums = torch.zeros(len(norms), len(self._groups), dtype=dtype, device=norms.device)
        return sums.index_add_(1, self._owners, norms.to(dtype).square())


class _InPieces:
    """A large tensor and its gradient, flat and piece by piece, in the order of the memory.

    Attributes:
        sizes: of the pieces, each a multiple of `ROW` or less than one.
    """

    def __init__(self, weight: Tensor, dtype: torch.dtype) -> None:
        self._weight, self._dtype = weight, dtype
        real = as_real(weight)
        self._order = sorted(range(real.ndim), key=real.stride, reverse=True)
        whole, rest = divmod(real.numel(), PIECE)
        tail = rest % ROW
        self.sizes = [*[PIECE] * whole, *(size for size in (rest - tail, tail) if size)]

    def now(self) -> tuple[Tensor, ...]:
        """The weights."""
        return self._split(self._weight)

    def gradient(self) -> tuple[Tensor, ...]:
        """Its gradient; zeros where there is none."""
        gradient = self._weight.grad
        return self._split(torch.zeros_like(self._weight) if gradient is None else gradient)

    def _split(self, tensor: Tensor) -> tuple[Tensor, ...]:
        flat = as_real(tensor.detach()).permute(self._order).reshape(-1)
        return torch.split(flat.to(self._dtype), self.sizes)


def as_real(tensor: Tensor) -> Tensor:
    """A complex tensor as pairs of real numbers, in its own memory; any other as it is."""
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def _is_coarse(square: Tensor, along: Tensor, across: Tensor) -> bool:
    """Whether so much of a rest is parallel to x that its rounding blurs what turns x."""
    parallel = along**2 / square
    return bool((parallel > COARSE * (across - parallel)).numpy().any())


def _norms(piece: Tensor, out: Tensor) -> None:
    """Norms of the rows of a piece: as fast as one inner product, and far more exact."""
    torch.linalg.vector_norm(piece.view(len(out), -1), dim=1, out=out)


def _in_chunks(pairs: Sequence[tuple[Tensor, int]]) -> tuple[list[int], list[int], list[int]]:
    """Sizes side by side with the zeros behind each group, which of them are tensors, and the
    group of each chunk."""
    sizes: list[int] = []
    filled: list[int] = []
    owners: list[int] = []
    for group, members in groupby(pairs, key=itemgetter(1)):
        here = [as_real(tensor).numel() for tensor, _ in members]
        zeros = -sum(here) % CHUNK
        filled += range(len(sizes), len(sizes) + len(here))
        sizes += [*here, zeros]
        owners += [group] * ((sum(here) + zeros) // CHUNK)
    return sizes, filled, owners
