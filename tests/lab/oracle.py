"""Eq. (1) written plainly, in float64: the reference that the engine is held against."""

import torch
from torch import Tensor
from torch.nn import functional as F

from limitcycle.lab.nets import build_net
from limitcycle.lab.setup import Setup
from limitcycle.record import Run


def train_plainly(
    run: Run, setup: Setup, batches: list[tuple[Tensor, Tensor]], measured: tuple[str, ...]
) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    """Train ``run`` on ``batches`` tensor by tensor; its weights, and its steps in numbers."""
    net = build_net(run, setup.data.image_shape, setup.data.classes).double().train()
    weights = {name: p for name, p in net.named_parameters() if p.requires_grad}
    velocity = {name: torch.zeros_like(p) for name, p in weights.items()}
    start = joint_norm(weights[name] for name in measured)
    rows = []
    for images, labels in batches:
        loss = F.cross_entropy(net(images), labels)
        gradients = dict(
            zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True)
        )
        before = torch.cat([weights[name].detach().flatten() for name in measured])
        row = {
            "loss": float(loss.detach()),
            "norm": float(before.norm()),
            "grad_norm": float(joint_norm(gradients[name] for name in measured)),
            "radial": float(sum((weights[n].detach() * gradients[n]).sum() for n in measured)),
        }
        with torch.no_grad():
            for name, x in weights.items():
                if run.momentum:
                    v = velocity[name]
                    v.mul_(run.momentum).add_(gradients[name] + run.weight_decay * x)
                    x.copy_(x - run.lr * v)
                else:
                    x.copy_((1 - run.lr * run.weight_decay) * x - run.lr * gradients[name])
            if run.fixed_norm == "start":
                factor = start / joint_norm(weights[name] for name in measured)
                for name in measured:
                    weights[name].mul_(factor)
        after = torch.cat([weights[name].detach().flatten() for name in measured])
        row["cosine_distance"] = float(
            ((before / before.norm() - after / after.norm()) ** 2).sum() / 2
        )
        rows.append(row)
    return {name: p.detach() for name, p in weights.items()}, rows


def joint_norm(tensors) -> Tensor:
    """The norm of all tensors together."""
    return torch.sqrt(sum((t.detach() ** 2).sum() for t in tensors))
