"""Inner products of weights with their gradients and updates, group by group, left on the device.

Everything about a step follows from a small Gram matrix a group, of x_t, ∇f and Δ = x_{t+1} − x_t.
They add up over tensors, and over groups to the joint one. Small tensors are packed into one
float64 buffer, so that their number costs no calls; large ones are measured in place, in pieces
that stay in the cache, so that they cost no copies.
"""

from collections.abc import Sequence
from functools import partial
from itertools import chain, groupby
from operator import itemgetter

import torch
from torch import Tensor

LARGE = 2**14  # entries from which a tensor is measured in place
CHUNK = 2**8  # entries of packed tensors that are multiplied at once
PIECE = 2**18  # entries whose float32 inner products are then added in float64
HALF_PIECE = 2**16  # of half precision: squares of few digits are all rounded the same way
HEAD = 2**12  # entries of a large tensor that tell how it shrinks
_TINY = 1e-30  # of a squared norm: weights that are all zero shrink by nothing


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
                dtype = torch.promote_types(pair[0].dtype, torch.float32)
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
        sizes, filled, owners = _in_chunks(pairs)
        device = self._weights[0].device if self._weights else None
        rows = torch.zeros(3, sum(sizes), dtype=torch.float64, device=device)
        self._x, self._gradient, self._update = rows
        parts = ([torch.split(row, sizes)[index] for index in filled] for row in rows)
        self._at_x, self._at_gradient, self._at_update = (
            [part.view(weight.shape) for part, weight in zip(row, self._weights, strict=True)]
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
        if len(here) < len(gradients):
            self._gradient.zero_()
            pairs = zip(places, gradients, strict=True)
            places = [place for place, gradient in pairs if gradient is not None]
        torch._foreach_copy_(self._at_x + places, self._weights + here)
        if not updates:
            gram[:, :2, :2].index_add_(0, self._owners, torch.bmm(*self._first_two))

    def after(self, gram: Tensor) -> None:
        if not self._weights:
            return
        torch._foreach_copy_(self._at_update, self._weights)
        self._update.sub_(self._x)
        gram.index_add_(0, self._owners, torch.bmm(*self._all))


class _Large:
    """Large tensors, where they lie; the last first, which an optimizer leaves in the cache.

    Args:
        pairs: tensors and their groups.
        dtype: that the sums of all of them are made in.
    """

    def __init__(self, pairs: Sequence[tuple[Tensor, int]], dtype: torch.dtype) -> None:
        pairs = pairs[::-1]
        self._weights = [_InPieces(tensor, dtype) for tensor, _ in pairs]
        self._before: list[list[Tensor]] = []  # x_t in pieces
        counts = [len(weight.now()) for weight in self._weights]
        owners = [index for index, count in enumerate(counts) for _ in range(count)]
        empty = partial(torch.empty, dtype=dtype, device=pairs[0][0].device)
        # Of each piece, its tensor, its group and what is summed, with a view a number: made once.
        self._owners = torch.tensor(owners, device=pairs[0][0].device)
        self._groups = torch.tensor(
            [pairs[owner][1] for owner in owners], device=self._owners.device
        )
        self._products = empty(len(owners), 3)  # ⟨x, ∇f⟩, ⟨x, x⟩, ⟨∇f, ∇f⟩
        self._places = [row.unbind() for row in self._products.unbind()]
        self._changes = empty(len(owners), 2)  # ⟨x, a⟩, ⟨a, a⟩ of a = x_{t+1} − s·x
        self._changed = [row.unbind() for row in self._changes.unbind()]
        self._room = empty(PIECE)

    def before(self, gram: Tensor, updates: bool) -> None:
        if updates and not self._before:
            self._before = [[torch.empty_like(x) for x in w.now()] for w in self._weights]
        kept, places = iter(chain.from_iterable(self._before)), iter(self._places)
        for weight in self._weights:
            for x, g in zip(weight.now(), weight.gradient(), strict=True):
                cross, square, other = next(places)
                torch.dot(x, g, out=cross)
                torch.dot(x, x, out=square)
                if updates:
                    next(kept).copy_(x)  # now, while it is in the cache
                torch.dot(g, g, out=other)
        cross, square, other = self._products.to(gram.dtype).T
        products = torch.stack([square, cross, cross, other], dim=1)
        gram[:, :2, :2].index_add_(0, self._groups, products.view(-1, 2, 2))

    def after(self, gram: Tensor) -> None:
        shrinks, places = self._shrinks(), iter(self._changed)
        for weight, before, shrink in zip(self._weights, self._before, shrinks, strict=True):
            for new, old in zip(weight.now(), before, strict=True):
                along, across = next(places)
                rest = self._room[: len(old)]
                torch.addcmul(new, old, shrink, value=-1, out=rest)
                torch.dot(old, rest, out=along)
                torch.dot(rest, rest, out=across)
        along, across = self._changes.to(gram.dtype).T
        change, square = shrinks.to(gram.dtype)[self._owners] - 1, self._products[:, 1]
        inner = change * square + along
        length = change * (change * square + 2 * along) + across
        products = torch.stack([torch.zeros_like(inner), inner, inner, length], dim=1)
        gram[:, ::2, ::2].index_add_(0, self._groups, products.view(-1, 2, 2))

    def _shrinks(self) -> Tensor:
        """A number s for each tensor, so that x_{t+1} − s·x_t is small.

        Weight decay makes an update nearly parallel to x, and what turns x would drown in the
        rounding of float32 sums; so s·x_t is split off first. Any s serves that takes most of the
        parallel part away: each tensor's first entries tell one.
        """
        heads = [
            (before[0][:HEAD], weight.head())
            for weight, before in zip(self._weights, self._before, strict=True)
        ]
        inner = [torch.dot(old, new) for old, new in heads]
        squares = [torch.dot(old, old) for old, _ in heads]
        inner_and_square = torch.stack(inner + squares).view(2, -1) + _TINY  # 1 for zeros
        return inner_and_square[0] / inner_and_square[1]


class _InPieces:
    """A large tensor and its gradient, flat and piece by piece, in the order of the memory."""

    def __init__(self, weight: Tensor, dtype: torch.dtype) -> None:
        self._weight, self._dtype = weight, dtype
        self._size = PIECE if weight.dtype == dtype else HALF_PIECE
        self._order = sorted(range(weight.ndim), key=weight.stride, reverse=True)
        self._now: tuple[Tensor, ...] = ()

    def now(self) -> tuple[Tensor, ...]:
        """The weights: views made once, unless they have moved; copies if of half precision."""
        if self._weight.dtype != self._dtype:
            return self._split(self._weight)
        if not self._now or self._now[0].data_ptr() != self._weight.data_ptr():
            self._now = self._split(self._weight)
        return self._now

    def head(self) -> Tensor:
        """The first `HEAD` weights, without converting the others."""
        if self._weight.dtype == self._dtype:
            return self.now()[0][:HEAD]
        return self._flat(self._weight)[:HEAD].to(self._dtype)

    def gradient(self) -> tuple[Tensor, ...]:
        """Its gradient; zeros where there is none."""
        gradient = self._weight.grad
        return self._split(torch.zeros_like(self._weight) if gradient is None else gradient)

    def _split(self, tensor: Tensor) -> tuple[Tensor, ...]:
        return torch.split(self._flat(tensor).to(self._dtype), self._size)

    def _flat(self, tensor: Tensor) -> Tensor:
        return tensor.detach().permute(self._order).reshape(-1)


def _in_chunks(pairs: Sequence[tuple[Tensor, int]]) -> tuple[list[int], list[int], list[int]]:
    """Sizes side by side with the zeros behind each group, which of them are tensors, and the
    group of each chunk."""
    sizes: list[int] = []
    filled: list[int] = []
    owners: list[int] = []
    for group, members in groupby(pairs, key=itemgetter(1)):
        here = [tensor.numel() for tensor, _ in members]
        zeros = -sum(here) % CHUNK
        filled += range(len(sizes), len(sizes) + len(here))
        sizes += [*here, zeros]
        owners += [group] * ((sum(here) + zeros) // CHUNK)
    return sizes, filled, owners
