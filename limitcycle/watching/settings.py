"""What a watched run's folder says of how it was made."""

import math
import platform
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from limitcycle._version import __version__
from limitcycle.measure import Moving, Together
from limitcycle.reading.optimizers import momentum_of
from limitcycle.symmetry import unwrapped
from limitcycle.watching.groups import Watched, dtypes_of, kind_of_net, names_apart, notes_of
from limitcycle.watching.ruled import Rules, notes_of_rules
from limitcycle.watching.table import joint_groups


def run_info(model: nn.Module, optimizer: Together, every: int) -> dict[str, Any]:
    """Model and optimizer by class and size, versions and machine, as JSON values."""
    module = unwrapped(model)
    first = next(module.parameters())
    return {
        "watched": {
            "model": type(module).__name__,
            "parameters": sum(p.numel() for p in module.parameters()),
            "optimizer": optimizer.name,
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


def facts(
    rules: Rules, groups: Sequence[Watched], optimizer: Moving, model: nn.Module
) -> dict[str, Any]:
    """What a reading of the tables needs and they do not hold, as JSON values.

    How the optimizer's update scales, how many weights have which type, what cannot be measured.
    """
    return {
        "update_rule": rules.of([groups[index] for index in joint_groups(groups)]).to_dict(),
        "dtypes": dtypes_of(groups),
        "net": kind_of_net(groups, model),
        "notes": [*notes_of(groups, optimizer), *notes_of_rules(rules, groups, optimizer)],
        "apart": names_apart(groups),
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


def settings_of(group: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Learning rate, weight decay and momentum (or β₁) of an optimizer's parameter group.

    A setting may be a tensor on the device; it is copied, not read.
    """
    lr, weight_decay = group.get("lr"), group.get("weight_decay", 0.0)
    return _kept(lr), _kept(weight_decay), _kept(momentum_of(group))


def _kept(value: Any) -> Any:
    if value is None:  # an optimizer that finds its own, or has none
        return math.nan
    return value.detach().clone() if isinstance(value, Tensor) else value
