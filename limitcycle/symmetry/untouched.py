"""Borrow a model and give it back as it was, whatever happens in between."""

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel


def unwrapped(model: nn.Module) -> nn.Module:
    """The user's own module inside wrappers that add only a prefix to its names."""
    inner: object = model
    if isinstance(model, DataParallel | DistributedDataParallel):
        inner = model.module
    elif isinstance(getattr(model, "_orig_mod", None), nn.Module):
        inner = model._orig_mod
    return model if inner is model or not isinstance(inner, nn.Module) else unwrapped(inner)


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The trainable tensors by the names of the user's own module, a tied one once."""
    named = unwrapped(model).named_parameters()
    return {name.replace("_orig_mod.", ""): p for name, p in named if p.requires_grad}


@contextlib.contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Restore, on leaving, every module's attributes and the random states.

    Covers what a forward pass may leave behind: attributes set on modules (also the tables of
    parameters and buffers, and the mode), and the states of torch's, NumPy's and Python's
    generators. Gradients are recorded inside, whatever the caller's mode; compiled forward passes
    run uncompiled.
    """
    tables = [table for module in model.modules() for table in _tables(module)]
    copies = [dict(table) for table in tables]
    devices = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the user's state
    with (
        torch.random.fork_rng(devices),
        torch.inference_mode(mode=False),
        torch.enable_grad(),
    ):
        try:
            for module in model.modules():
                module.__dict__.pop("_compiled_call_impl", None)
            yield
        finally:
            for table, copy in zip(tables, copies, strict=True):
                table.clear()
                table.update(copy)
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002


def seed_all(seed: int) -> None:
    """Set every generator that a forward pass may draw from without being handed one."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - a forward pass may draw from the legacy state


def _tables(module: nn.Module) -> list[dict[str, object]]:
    return [module.__dict__, *(module.__dict__[key] for key in ("_parameters", "_buffers"))]
