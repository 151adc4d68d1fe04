"""What the trainers' tests share: one training by hand, and how two of them are compared."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

import limitcycle as lc
from tests.watching import loops

Batch = tuple[Tensor, Tensor]
HERE = {
    **os.environ,
    "PYTHONPATH": str(Path(__file__).parents[2]),
}  # for scripts that lie elsewhere


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    settings = {"lr": loops.RATE, "weight_decay": loops.DECAY, "momentum": 0.9}
    return torch.optim.SGD(model.parameters(), **settings)


def by_hand(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    steps: list[list[Batch]],
    *,
    parts: int = 1,
    clip: float = 0.0,
    watched: bool = True,
    loss_of: Callable[[nn.Module, Batch], Tensor] | None = None,
) -> lc.Watch | None:
    """A plain loop: each step's batches accumulated, each divided by ``parts``, then clipped."""
    loss_of = loss_of or (lambda model, batch: cross_entropy(model(batch[0]), batch[1]))
    w = lc.watch(model, optimizer, quiet=True) if watched else None
    for batches in steps:
        optimizer.zero_grad()
        losses = [loss_of(model, batch) for batch in batches]
        for loss in losses:
            (loss / parts).backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        if w is not None:
            w.log(loss=torch.stack(losses).detach().mean())
    if w is not None:
        w.close()
    return w


def cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    return nn.functional.cross_entropy(output, target)


def check_rows(found: pd.DataFrame, expected: pd.DataFrame, rtol: float = 1e-12) -> None:
    """The same training, seen twice: the same numbers, the loss but for rounding."""
    assert list(found["step"]) == list(expected["step"])
    pd.testing.assert_series_equal(found["loss"], expected["loss"], rtol=1e-5)
    columns = ["norm", "grad_norm", "rotation", "lr", "weight_decay", "effective_lr"]
    pd.testing.assert_frame_equal(found[columns], expected[columns], rtol=rtol)


def check_weights(found: nn.Module, expected: nn.Module) -> None:
    for name, tensor in expected.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor), name


def check_left_as_it_was(model: nn.Module, optimizer: Any) -> None:
    assert not optimizer._optimizer_step_pre_hooks and not optimizer._optimizer_step_post_hooks
    for module in model.modules():
        assert not module._forward_pre_hooks and not module._forward_hooks
