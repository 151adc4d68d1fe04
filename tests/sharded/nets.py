"""Nets and loops that run in one process and on several alike."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SAMPLES = 16
INVARIANT = ["one.weight", "two.weight"]


class Net(nn.Module):
    """Two matrices before normalisations over features, which no batch is divided for; a head."""

    def __init__(self, width: int = 40, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        kind = {"bias": False, "dtype": dtype}
        self.one, self.two = nn.Linear(12, width, **kind), nn.Linear(width, 30, **kind)
        self.norm1 = nn.LayerNorm(width, eps=0.0, dtype=dtype)
        self.norm2 = nn.LayerNorm(30, eps=0.0, dtype=dtype)
        self.head = nn.Linear(30, 3, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.norm1(self.one(x)))
        return self.head(torch.tanh(self.norm2(self.two(x))))


def net(width: int = 40, dtype: torch.dtype = torch.float64) -> Net:
    torch.manual_seed(0)
    return Net(width, dtype)


def batch(step: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(step)
    x = torch.randn(SAMPLES, 12, generator=random, dtype=torch.float64).to(dtype)
    return x, torch.randint(3, (SAMPLES,), generator=random)


def shard(step: int, rank: int, size: int, dtype: torch.dtype = torch.float64) -> Any:
    x, y = batch(step, dtype)
    return x.chunk(size)[rank], y.chunk(size)[rank]


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.05, weight_decay=0.1, momentum=0.9)


def adamw(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)


OPTIMIZERS: dict[str, Callable[[nn.Module], Any]] = {"sgd": sgd, "adamw": adamw}


def loss_of(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(model(x), y)


def whole(model: nn.Module) -> dict[str, Tensor]:
    """All weights, whole; all processes take part."""
    found = {}
    for name, parameter in model.named_parameters():
        value = parameter.detach()
        found[name] = value.full_tensor() if hasattr(value, "full_tensor") else value.clone()
    return found
