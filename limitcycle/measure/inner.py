"""Inner products of weights with their gradients and updates, group by group, left on the device.

Everything about a step follows from a small Gram matrix a group, of x_t, ∇f and Δ = x_{t+1} − x_t.
They add up over tensors, and over groups to the joint one. Small tensors are packed into one
float64 buffer, so that their number costs no calls; large ones are measured in place, in pieces
that stay in the cache, so that they cost no copies.
"""

from collections.abc import Sequence
from itertools import chain, groupby
from operator import itemgetter

import torch
from torch import Tensor

LARGE = 2**14  # entries from which a tensor is measured in place
CHUNK = 2**8  # entries of packed tensors that are multiplied at once
PIECE = 2**16  # entries whose float32 inner products are then added in float64
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
        self._packed = _Packed([pair for pair in pairs if pair[0].numel() < LARGE])
        self._large = _Large([pair for pair in pairs if pair[0].numel() >= LARGE])

    def before(self, gram: Tensor, *, updates: bool) -> None:
        """At x_t, when its gradients are there.

        Args:
            gram: (groups, 3, 3), zeros; gets the inner products of (x_t, ∇f, Δ), of which that of
                ∇f with Δ is not defined. A missing gradient counts as zero.
            updates: whether Δ is measured: then `after` completes ``gram``. If not, what belongs
                to Δ stays zero.
        """
        self._packed.before(gram, updates)
        self._large.before(gram, updates)

    def after(self, gram: Tensor) -> None:
        """At x_{t+1}: complete what `before` began."""
        self._packed.after(gram)
        self._large.after(gram)


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
    """Large tensors, where they lie."""

    def __init__(self, pairs: Sequence[tuple[Tensor, int]]) -> None:
        self._weights = [tensor for tensor, _ in pairs]
        self._before: list[list[Tensor]] = []  # x_t in pieces
        self._squares: list[Tensor] = []  # ⟨x_t, x_t⟩ of each piece
        groups = [group for tensor, group in pairs for _ in range(-(-tensor.numel() // PIECE))]
        device = self._weights[0].device if self._weights else None
        self._groups = torch.tensor(groups, dtype=torch.long, device=device)

    def before(self, gram: Tensor, updates: bool) -> None:
        if updates and not self._before:
            self._before = [[torch.empty_like(x) for x in _pieces(w)] for w in self._weights]
        found, kept = [], iter(chain.from_iterable(self._before))
        for weight in self._weights:
            gradient = torch.zeros_like(weight) if weight.grad is None else weight.grad
            for x, g in zip(_pieces(weight), _pieces(gradient, weight), strict=True):
                found += [torch.dot(x, x), cross := torch.dot(x, g), cross, torch.dot(g, g)]
                if updates:
                    next(kept).copy_(x)  # now, while it is in the cache
        self._squares = found[::4]
        if found:
            products = torch.stack(found).to(gram.dtype).view(-1, 2, 2)
            gram[:, :2, :2].index_add_(0, self._groups, products)

    def after(self, gram: Tensor) -> None:
        # Weight decay makes the update nearly parallel to x, and what turns x would drown in the
        # rounding of float32 sums. So each piece is split into s·x_t and the rest, first.
        found, squares = [], iter(self._squares)
        for weight, before in zip(self._weights, self._before, strict=True):
            rest = torch.empty_like(before[0])
            for new, old in zip(_pieces(weight), before, strict=True):
                square = next(squares)
                shrink = torch.dot(old, new) / square.clamp(min=_TINY)
                across = torch.addcmul(new, old, shrink, value=-1, out=rest[: len(old)])
                found += [square, shrink, torch.dot(old, across), torch.dot(across, across)]
        if found:
            square, shrink, along, across = torch.stack(found).to(gram.dtype).view(-1, 4).T
            change = shrink - 1
            inner = change * square + along
            length = change * (change * square + 2 * along) + across
            products = torch.stack([torch.zeros_like(inner), inner, inner, length], dim=1)
            gram[:, ::2, ::2].index_add_(0, self._groups, products.view(-1, 2, 2))


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


def _pieces(tensor: Tensor, like: Tensor | None = None) -> tuple[Tensor, ...]:
    """``tensor``, flat and piece by piece, its entries in the order in which ``like``'s lie."""
    like = tensor if like is None else like
    order = sorted(range(like.ndim), key=like.stride, reverse=True)  # of memory: no copies
    flat = tensor.detach().permute(order).reshape(-1)
    # Sums in half precision would be noise.
    return torch.split(flat.to(torch.promote_types(like.dtype, torch.float32)), PIECE)
