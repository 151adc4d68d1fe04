"""Small float64 nets that are scale-invariant exactly: their normalisation has no eps."""

import copy
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import limitcycle as lc

DOUBLE = torch.float64


def normalised(x: Tensor) -> Tensor:
    x = x - x.mean(0)
    return x / x.square().mean(0).sqrt()


class TwoLayers(nn.Module):
    """Two scale-invariant matrices, each a group; a head and a bias that are none."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 7, bias=False, dtype=DOUBLE)
        self.second = nn.Linear(7, 6, bias=False, dtype=DOUBLE)
        self.head = nn.Linear(6, 3, dtype=DOUBLE)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(normalised(self.first(x)))
        return self.head(torch.tanh(normalised(self.second(x))))


class Uneven(nn.Module):
    """Exponents 1 and 2 in one group, a tensor that is used twice, and one plain group."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = nn.Linear(5, 6, bias=False, dtype=DOUBLE)
        self.twice = nn.Linear(6, 6, bias=False, dtype=DOUBLE)
        self.once = nn.Linear(6, 6, bias=False, dtype=DOUBLE)
        self.head = nn.Linear(6, 3, dtype=DOUBLE)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(normalised(self.plain(x)))
        x = normalised(self.twice(self.twice(x)) + self.once(x))
        return self.head(torch.tanh(x))


NETS = {"even": TwoLayers, "uneven": Uneven}


def batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(1000 + seed)
    inputs = torch.randn(16, 5, dtype=DOUBLE, generator=random)
    return inputs, torch.randint(3, (16,), generator=random)


@cache
def _fresh(kind: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return NETS[kind]()


@cache
def _found(kind: str) -> lc.Symmetries:
    return lc.symmetries(_fresh(kind), batch()[0])


def build(kind: str = "even") -> tuple[nn.Module, lc.Symmetries]:
    """A fresh net and its symmetries, bound to it."""
    net = copy.deepcopy(_fresh(kind))
    return net, _found(kind).bound(net)


def loss_of(net: nn.Module, step: int) -> Tensor:
    inputs, labels = batch(step)
    return F.cross_entropy(net(inputs), labels)


def train(net: nn.Module, optimizer: torch.optim.Optimizer, steps, scheduler=None) -> None:
    for step in steps:
        optimizer.zero_grad()
        loss_of(net, step).backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()


def norm(tensors) -> float:
    return float(torch.sqrt(sum(t.detach().square().sum() for t in tensors)))


def held_norms(symmetries: lc.Symmetries, per: str) -> list[float]:
    groups = [g for g in symmetries.groups if g.kind == "scale-invariant"]
    if per == "all":
        return [norm(symmetries.parameters[n] for g in groups for n in g.names)]
    return [norm(symmetries.parameters[n] for n in g.names) for g in groups]


def split(net: nn.Module, symmetries: lc.Symmetries) -> list[dict]:
    """Two param groups: scale-invariant tensors, and the others."""
    mine = set(symmetries.scale_invariant)
    return [
        {"params": [p for n, p in net.named_parameters() if n in mine]},
        {"params": [p for n, p in net.named_parameters() if n not in mine]},
    ]
