"""Models whose scaling symmetries are known by hand.

`Case.groups` maps each group's tensors with their exponents to its kind; every tensor that it does
not name is in no symmetry. Where a group has several generators its exponents are the smallest
positive ones, or, for a rescaling, one of its vectors.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

Groups = list[tuple[str, dict[str, int]]]
SI, RE, DEAD = "scale-invariant", "rescaling", "dead"


@dataclass(frozen=True)
class Case:
    make: Callable[[], nn.Module]
    batch: Callable[[], Any]
    groups: Groups


def ones(*names: str) -> dict[str, int]:
    return dict.fromkeys(names, 1)


def each(*names: str) -> Groups:
    return [(SI, ones(name)) for name in names]


def vectors() -> Tensor:
    return torch.randn(16, 10)


def images() -> Tensor:
    return torch.randn(12, 3, 8, 8)


def tokens() -> Tensor:
    return torch.randn(5, 6, 8)


def frozen(module: nn.Module) -> nn.Module:
    return module.requires_grad_(False)


def mlp(*, affine: bool = False, bias: bool = False, norm: Any = nn.BatchNorm1d) -> nn.Module:
    layers: list[nn.Module] = []
    for i in range(3):
        layers.append(nn.Linear(10, 10, bias=bias))
        if norm is nn.BatchNorm1d:
            layers.append(norm(10, affine=affine))
        elif norm is nn.LayerNorm:
            layers.append(norm(10, elementwise_affine=affine))
        layers.append(nn.ReLU() if i else nn.LeakyReLU(0.2))
    return nn.Sequential(*layers, frozen(nn.Linear(10, 4)))


def convnet(make_norm: Callable[[int], nn.Module], *, train_head: bool = False) -> nn.Module:
    def stage(i: int, o: int, *pool: nn.Module) -> list[nn.Module]:
        return [nn.Conv2d(i, o, 3, padding=1, bias=False), make_norm(o), nn.ReLU(), *pool]

    head = nn.Linear(16, 4).requires_grad_(train_head)
    pool = nn.MaxPool2d(2)
    return nn.Sequential(*stage(3, 8), *stage(8, 16, pool), nn.MaxPool2d(4), nn.Flatten(), head)


class PreActivation(nn.Module):
    def __init__(self, i: int, o: int, affine: bool) -> None:
        super().__init__()
        self.n1, self.n2 = nn.BatchNorm2d(i, affine=affine), nn.BatchNorm2d(o, affine=affine)
        self.c1 = nn.Conv2d(i, o, 3, o // i, 1, bias=False)
        self.c2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.short = nn.Identity() if i == o else nn.Conv2d(i, o, 1, 2, bias=False)
        self.ns = nn.Identity() if i == o else nn.BatchNorm2d(i, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        return self.short(self.ns(x)) + self.c2(F.relu(self.n2(self.c1(F.relu(self.n1(x))))))


def preresnet(
    *, affine: bool, train_head: bool, widths: tuple[int, ...] = (4, 4, 8, 8)
) -> nn.Module:
    """Stem of the first width, then a block a further width; last norm, pool and head."""
    last = widths[-1]
    blocks = [PreActivation(i, o, affine) for i, o in itertools.pairwise(widths)]
    tail = [nn.BatchNorm2d(last, affine=affine), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    head = nn.Linear(last, 4, bias=False).requires_grad_(train_head)
    return nn.Sequential(nn.Conv2d(3, widths[0], 3, 1, 1, bias=False), *blocks, *tail, head)


class PostActivation(nn.Module):
    """Block of the classic ResNet, whose normalisations with affine parameters feed the stream."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.n0 = nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6)
        self.c1, self.n1 = nn.Conv2d(6, 6, 3, 1, 1, bias=False), nn.BatchNorm2d(6)
        self.c2, self.n2 = nn.Conv2d(6, 6, 3, 1, 1, bias=False), nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.n0(self.stem(x)))
        x = F.relu(x + self.n2(self.c2(F.relu(self.n1(self.c1(x))))))
        return self.head(x.mean((2, 3)))


class OnlyJointly(nn.Module):
    """BN(W₂·relu(W₁x) + Wₛx): row reduction alone names a different set for each order."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.skip = (nn.Linear(10, 10, bias=False) for _ in range(3))
        self.norm = nn.BatchNorm1d(10, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.two(F.relu(self.one(x))) + self.skip(x)).tanh()


class PlainRms(nn.Module):
    """RMS normalisation in tensor operations, literal eps, and names that say nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.apple = nn.Parameter(torch.randn(10, 10) / 3)
        self.pear = nn.Parameter(torch.ones(10))
        self.plum = nn.Parameter(torch.randn(10, 4) / 3)

    def forward(self, x: Tensor) -> Tensor:
        y = x @ self.apple
        y = y * torch.rsqrt(y.float().pow(2).mean(-1, keepdim=True) + 1e-5)
        return F.gelu(y * self.pear) @ self.plum


class StandardisedWeight(nn.Module):
    """The weight is normalised, by a literal eps inside a clamp, not the activations."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.randn(10, 10)), nn.Parameter(torch.zeros(10))

    def forward(self, x: Tensor) -> Tensor:
        w = self.a - self.a.mean(1, keepdim=True)
        return torch.tanh(x @ (w / w.norm(dim=1, keepdim=True).clamp(min=1e-4)).T + self.b)


class NormAndRaw(nn.Module):
    """Looks invariant, is not: the raw activation goes round the normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.w, self.norm = nn.Linear(10, 10, bias=False), nn.BatchNorm1d(10, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.w(x)
        return self.norm(y) + torch.tanh(y)


class Tied(nn.Module):
    """One tensor under two names: its exponent counts both uses, and nothing can undo it."""

    def __init__(self, *, norm: bool) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(10, 10, bias=False), nn.Linear(10, 10, bias=False)
        self.out.weight = self.into.weight
        self.middle = nn.Parameter(torch.randn(10))
        self.norm = nn.LayerNorm(10, 1e-9, elementwise_affine=False) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.out(F.relu(self.into(x)) * self.middle))


class Attention(nn.Module):
    """Pre-norm attention block, with or without normalised queries and keys."""

    def __init__(self, *, qk_norm: bool) -> None:
        super().__init__()
        self.n = nn.LayerNorm(8, elementwise_affine=False)
        self.q, self.k, self.v, self.o = (nn.Linear(8, 8) for _ in range(4))
        self.qk_norm = qk_norm

    def forward(self, x: Tensor) -> Tensor:
        h = self.n(x)
        q, k = self.q(h), self.k(h)
        if self.qk_norm:
            q, k = (F.rms_norm(t, (8,), eps=1e-6) for t in (q, k))
        return x + self.o(
            F.scaled_dot_product_attention(*(t[:, None] for t in (q, k, self.v(h))))[:, 0]
        )


class Keywords(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.norm, self.unused = nn.LayerNorm(8), nn.Parameter(torch.ones(3))

    def forward(self, *, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
        return {"hidden": self.norm(self.embed(ids)) * mask[..., None], "ids": ids}


class Powers(nn.Module):
    """Exponents other than one."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.rand(10) + 1), nn.Parameter(torch.rand(10) + 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x * self.a.square() * self.b)


def stream(*names: str) -> tuple[str, dict[str, int]]:
    return SI, ones(*names)


def _pairs(*modules: str) -> Groups:
    return [(SI, ones(f"{m}.weight", f"{m}.bias")) for m in modules]


ZOO: dict[str, Case] = {
    "mlp": Case(mlp, vectors, each("0.weight", "3.weight", "6.weight")),
    "mlp affine": Case(
        lambda: mlp(affine=True),
        vectors,
        [*each("0.weight", "3.weight", "6.weight"), *_pairs("1", "4")],
    ),
    "mlp bias": Case(
        lambda: mlp(bias=True),
        vectors,
        each("0.weight", "3.weight", "6.weight")
        + [(DEAD, {name: 1}) for name in ("0.bias", "3.bias", "6.bias")],
    ),
    "mlp layer norm": Case(
        lambda: mlp(norm=nn.LayerNorm, bias=True), vectors, _pairs("0", "3", "6")
    ),
    "mlp without norm": Case(
        lambda: mlp(norm=None), vectors, [(RE, {"0.weight": 1, "2.weight": 1, "4.weight": -2})]
    ),
    "convnet": Case(
        lambda: convnet(lambda c: nn.BatchNorm2d(c, affine=False)),
        images,
        each("0.weight", "3.weight"),
    ),
    "convnet affine, head": Case(
        lambda: convnet(nn.BatchNorm2d, train_head=True),
        images,
        [
            *each("0.weight", "3.weight"),
            *_pairs("1"),
            (RE, {"4.weight": 1, "4.bias": 1, "9.weight": -1}),
        ],
    ),
    "convnet group norm": Case(
        lambda: convnet(lambda c: nn.GroupNorm(4, c, affine=False)),
        images,
        each("0.weight", "3.weight"),
    ),
    "convnet instance norm": Case(
        lambda: convnet(lambda c: nn.InstanceNorm2d(c)), images, each("0.weight", "3.weight")
    ),
    "convnet without norm": Case(
        lambda: convnet(lambda c: nn.Identity(), train_head=True),
        images,
        [(RE, {"0.weight": 1, "3.weight": 1, "9.weight": -2})],
    ),
    "preresnet": Case(
        lambda: preresnet(affine=False, train_head=False),
        images,
        [
            stream("0.weight", "1.c2.weight"),
            stream("2.short.weight", "2.c2.weight", "3.c2.weight"),
            *each("1.c1.weight", "2.c1.weight", "3.c1.weight"),
        ],
    ),
    "preresnet affine, head": Case(
        lambda: preresnet(affine=True, train_head=True),
        images,
        [
            (SI, {"0.weight": 2, **ones("1.c2.weight", "1.n2.weight", "1.n2.bias")}),
            stream(
                *("2.short.weight", "2.ns.weight", "2.c2.weight", "2.n2.weight", "2.n2.bias"),
                *("3.c2.weight", "3.n2.weight", "3.n2.bias"),
            ),
            (DEAD, {"2.ns.bias": 1}),
            *each("1.c1.weight", "2.c1.weight", "3.c1.weight"),
            *_pairs("1.n1", "2.n1", "3.n1"),
            (RE, {"4.weight": 1, "4.bias": 1, "8.weight": -1}),
        ],
    ),
    "postresnet": Case(
        PostActivation,
        images,
        [
            *each("stem.weight", "c1.weight", "c2.weight"),
            *_pairs("n1"),
            (RE, {**ones("n0.weight", "n0.bias", "n2.weight", "n2.bias"), "head.weight": -1}),
        ],
    ),
    "depthwise": Case(
        lambda: nn.Sequential(
            nn.Conv2d(3, 6, 3, groups=3),
            nn.ReLU(),
            nn.Conv2d(6, 6, 1),
            nn.BatchNorm2d(6),
            nn.SiLU(),
        ),
        images,
        [stream("0.weight", "0.bias"), stream("2.weight"), (DEAD, {"2.bias": 1})],
    ),
    "weight norm": Case(
        lambda: nn.Sequential(weight_norm(nn.Linear(10, 6)), nn.Tanh()),
        vectors,
        each("0.parametrizations.weight.original1"),
    ),
    "only jointly": Case(
        OnlyJointly,
        vectors,
        [(SI, {"one.weight": 1, "two.weight": 1, "skip.weight": 2})],
    ),
    "plain rms": Case(PlainRms, vectors, each("apple")),
    "standardised weight": Case(StandardisedWeight, vectors, each("a")),
    "norm and raw": Case(NormAndRaw, vectors, []),
    "tied, normalised": Case(
        lambda: Tied(norm=True), vectors, each("middle") + each("into.weight")
    ),
    "tied": Case(lambda: Tied(norm=False), vectors, [(RE, {"middle": 2, "into.weight": -1})]),
    "attention": Case(
        lambda: Attention(qk_norm=False),
        tokens,
        [
            (RE, {"q.weight": 1, "q.bias": 1, "k.weight": -1}),
            (DEAD, {"k.bias": 1}),
            (RE, {"v.weight": 1, "v.bias": 1, "o.weight": -1}),
        ],
    ),
    "attention, queries and keys normalised": Case(
        lambda: Attention(qk_norm=True),
        tokens,
        [*_pairs("q", "k"), (RE, {"v.weight": 1, "v.bias": 1, "o.weight": -1})],
    ),
    "keyword batch, unused tensor": Case(
        Keywords,
        lambda: {"ids": torch.randint(11, (5, 4)), "mask": torch.ones(5, 4)},
        [stream("embed.weight"), (DEAD, {"unused": 1})],
    ),
    "two inputs": Case(
        lambda: nn.Bilinear(10, 10, 6, bias=False),
        lambda: (vectors(), vectors()),
        [],
    ),
    "powers": Case(Powers, vectors, [(RE, {"a": 1, "b": -2})]),
    "sigmoid": Case(
        lambda: nn.Sequential(nn.Linear(10, 10), nn.Sigmoid(), nn.Linear(10, 4)), vectors, []
    ),
}
