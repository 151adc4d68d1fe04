"""What a watched run's folder says of how it was made."""

import platform
import sys
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from limitcycle._version import __version__
from limitcycle.symmetry import unwrapped


def run_info(model: nn.Module, optimizer: Optimizer, every: int) -> dict[str, Any]:
    """Model and optimizer by class and size, versions and machine, as JSON values."""
    module = unwrapped(model)
    first = next(module.parameters())
    return {
        "watched": {
            "model": type(module).__name__,
            "parameters": sum(p.numel() for p in module.parameters()),
            "optimizer": type(optimizer).__name__,
            "settings": [_plain(group) for group in optimizer.param_groups],
            "every": every,
            "script": sys.argv[0] if sys.argv else "",
        },
        "limitcycle": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": str(first.device),
        "threads": torch.get_num_threads(),
    }


def _plain(group: dict[str, Any]) -> dict[str, Any]:
    """The settings that are plain values, of an optimizer's parameter group."""
    kept: dict[str, Any] = {}
    for name, value in group.items():
        if isinstance(value, bool | int | float | str) or value is None:
            kept[name] = value
        elif name in ("lr", "betas", "weight_decay"):
            kept[name] = (
                [float(each) for each in value] if isinstance(value, tuple) else float(value)
            )
    return kept
