"""From a run's description to its network, freshly initialised."""

import torch
from torch import nn

from limitcycle.errors import UserError
from limitcycle.lab.nets.convnet import ConvNet
from limitcycle.lab.nets.mlp import MLP
from limitcycle.lab.nets.resnet18 import ResNet18
from limitcycle.record import Run


def build_net(run: Run, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The run's network in train mode, on the CPU, float32, initialised from ``run.seed`` alone.

    Args:
        run: the description.
        image_shape: (channels, height, width) of its images.
        classes: number of classes.

    Raises:
        UserError: the images are too small for the net's depth.
    """
    channels, side, _ = image_shape
    settings = {
        "width": run.width,
        "depth": run.depth,
        "norm": run.norm,
        "head_norm": run.head_norm,
        "train_head": run.train_head,
    }
    check_depth(run, side)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        if run.net == "mlp":
            module: nn.Module = MLP(channels * side * side, classes, **settings)  # type: ignore[arg-type]
        elif run.net == "resnet18":
            module = ResNet18(channels, classes, **settings)  # type: ignore[arg-type]
        else:
            module = ConvNet(channels, classes, resolution=side, **settings)  # type: ignore[arg-type]
    for layer in module.modules():
        if hasattr(layer, "eps"):
            layer.eps = run.norm_eps  # type: ignore[assignment]
    return module


def check_depth(run: Run, side: int) -> None:
    """Refuse a ConvNet that halves its images, of ``side`` pixels, more often than it can.

    Raises:
        UserError: it says how large they have to be.
    """
    depth = run.depth or 0
    if run.net == "convnet" and side < 1 << depth:
        least = str(1 << depth) if depth < 20 else f"2^{depth}"
        raise UserError(
            f"a ConvNet of depth {depth} needs images of {least} pixels a side or more, not "
            f"{side}: choose a smaller depth or a larger resolution"
        )
