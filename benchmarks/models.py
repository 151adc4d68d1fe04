"""The two networks on which the library's own costs are measured, with what steps them."""

import functools
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

import limitcycle as lc
from limitcycle.lab.nets import build_net
from limitcycle.record import Run


class Bench(NamedTuple):
    """A network, its symmetries, its optimizer and one batch of random images."""

    net: nn.Module
    symmetries: lc.Symmetries
    optimizer: Optimizer
    images: Tensor
    labels: Tensor

    def step(self) -> Tensor:
        """One step of training; the batch's loss."""
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.net(self.images), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss


def resnet(width: int = 64, batch: int = 128, side: int = 32) -> Bench:
    """The lab's ResNet-18 under SGD with momentum; its symmetries are told by a narrow twin."""
    run = Run(net="resnet18", data="cifar10", width=width)
    net = build_net(run, (3, side, side), 10).to(memory_format=torch.channels_last).train()
    symmetries = twins().bound(net)
    images = torch.randn(batch, 3, side, side).to(memory_format=torch.channels_last)
    return Bench(net, symmetries, decaying(net, symmetries), images, torch.arange(batch) % 10)


@functools.cache
def twins() -> lc.Symmetries:
    """The symmetries of a ResNet-18, whatever its width."""
    twin = build_net(Run(net="resnet18", data="cifar10", width=4), (3, 16, 16), 10).train()
    return lc.symmetries(twin, torch.randn(32, 3, 16, 16))


def perceptron(batch: int) -> Bench:
    """Three normalised layers with affine parameters and a head, all trained: 11 small tensors."""
    layers: list[nn.Module] = []
    for _ in range(3):
        layers += [nn.Linear(64, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Linear(64, 10)).train()
    images, labels = torch.randn(batch, 64), torch.arange(batch) % 10
    symmetries = lc.symmetries(net, images)
    return Bench(net, symmetries, decaying(net, symmetries), images, labels)


def decaying(net: nn.Module, symmetries: lc.Symmetries) -> Optimizer:
    """SGD with momentum; weight decay on scale-invariant tensors only."""
    mine = set(symmetries.scale_invariant)
    named = [(name, p) for name, p in net.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for name, p in named if name in mine], "weight_decay": 5e-4},
        {"params": [p for name, p in named if name not in mine]},
    ]
    return torch.optim.SGD([g for g in groups if g["params"]], lr=0.1, momentum=0.9)
