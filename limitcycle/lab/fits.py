"""Whether a run can be made at all: told from its description, before a folder is claimed.

What only the data themselves can say (a CIFAR that is not whole) is told when they are there.
"""

from functools import lru_cache
from typing import Any

import torch

from limitcycle.errors import UserError
from limitcycle.lab import machine
from limitcycle.lab.nets import build_net, check_depth
from limitcycle.lab.sources import facts
from limitcycle.record import Run

_COPIES = 4  # weights, gradient, update, and the weights that follow
_MOST_STEPS = 2**63


def refuse_impossible(run: Run, device: torch.device | None = None) -> None:
    """Refuse a run whose settings do not go with its data, or with the memory of ``device``.

    Args:
        run: its description.
        device: where it is to be computed; None: somewhere else, of which nothing is known.

    Raises:
        UserError: it names the setting, and what to choose.
    """
    data = facts(run.data)
    # Classes are about equally large; what is there exactly is said by the data themselves.
    part = (run.classes or data.classes) / data.classes
    check_subset(f"{run.data} train", data.train, run.train_size)
    check_subset(f"{run.data} test", data.test, run.test_size)
    check_resolution(data.side, run.resolution)
    side = run.resolution or data.side
    check_depth(run, side)
    size = run.train_size or round(part * data.train)
    check_batch_size(run, size)
    batch_size = run.batch_size if isinstance(run.batch_size, int) else size
    if (run.epochs or 0) * -(-size // batch_size) >= _MOST_STEPS:
        raise UserError(f"epochs {run.epochs:,} are more steps than can be counted: take fewer")
    if device is not None:
        _check_memory(run, (data.channels, side, run.classes or data.classes), device)


def check_subset(what: str, available: int, size: int | None) -> None:
    """Refuse a subset that is larger than the set."""
    if size is not None and size > available:
        raise UserError(f"{what} has {available:,} images, {size:,} were asked for: ask for fewer")


def check_resolution(side: int, resolution: int | None) -> None:
    """Refuse a resolution that images of ``side`` pixels cannot be averaged to."""
    if resolution is not None and side % resolution:
        fits = ", ".join(str(n) for n in range(side, 3, -1) if side % n == 0)
        raise UserError(f"resolution {resolution} does not divide {side}: choose one of {fits}")


def check_batch_size(run: Run, size: int) -> None:
    """Refuse a batch of more than the ``size`` images that there are."""
    if isinstance(run.batch_size, int) and run.batch_size > size:
        raise UserError(
            f"batch_size {run.batch_size:,} is more than the {size:,} training images: take "
            'fewer, or "full"'
        )


def _check_memory(run: Run, shape: tuple[int, int, int], device: torch.device) -> None:
    bytes_each = 8 if run.dtype == "float64" else 4
    there = machine.memory_bytes(device)
    weights = _weights(run.net, run.width, run.depth, run.norm, shape)
    needed = _COPIES * bytes_each * weights
    if there is not None and needed > there:
        raise UserError(
            f"the net's {weights:.2g} weights need {needed / 2**30:,.0f} GiB of memory or more, "
            f"{device} has {there / 2**30:,.0f}: choose a smaller width or depth"
        )


@lru_cache(maxsize=64)
def _weights(
    net: str, width: int | None, depth: int | None, norm: str, shape: tuple[int, int, int]
) -> int:
    """How many weights a net has: built where nothing takes memory."""
    channels, side, classes = shape
    settings: dict[str, Any] = {"net": net, "width": width, "depth": depth, "norm": norm}
    run = Run(**settings, head_norm=None)  # a norm of nothing costs torch seconds
    with torch.device("meta"):
        module = build_net(run, (channels, side, side), classes)
    return sum(parameter.numel() for parameter in module.parameters())
