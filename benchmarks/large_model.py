"""What a row costs of a model of a hundred million weights: CPU time in hooks, and of a pass.

    python -m benchmarks.large_model

One thread, 24 matrices of 2,048 × 2,048, batches of 128; medians over the steps but for the first.
"""

import argparse
from functools import wraps
from statistics import median
from time import thread_time
from typing import Any

import torch
from torch import nn

import limitcycle as lc
from benchmarks.common import machine_in_words

WIDTH, DEPTH, BATCH, STEPS = 2_048, 24, 128, 8


def measured(*, update: bool) -> tuple[float, float]:
    """Seconds of CPU time in the hooks of a row, and in a forward and backward pass."""
    model = nn.Sequential(*(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(DEPTH)))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    inputs = torch.randn(BATCH, WIDTH)
    watch = lc.watch(model, optimizer, "*.weight", update=update, quiet=True)
    hooks: list[float] = []
    _timed(watch, "_before", hooks)
    _timed(watch, "_after", hooks)
    passes: list[float] = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        began = thread_time()
        model(inputs).square().mean().backward()
        passes.append(thread_time() - began)
        optimizer.step()
    watch.close()
    rows = [before + after for before, after in zip(hooks[::2], hooks[1::2], strict=True)]
    return median(rows[1:]), median(passes[1:])


def _timed(watch: Any, name: str, spent: list[float]) -> None:
    """Have the times of the hook ``name`` added to ``spent``."""
    hook = getattr(watch._hooks, name)

    @wraps(hook)
    def timed() -> None:
        began = thread_time()
        hook()
        spent.append(thread_time() - began)

    setattr(watch._hooks, name, timed)


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    torch.set_num_threads(1)
    print(machine_in_words())
    row, passed = measured(update=True)
    short, _ = measured(update=False)
    print(f"{DEPTH * WIDTH**2 / 1e6:.1f} M weights, CPU time")
    print(f"hooks of a row, update measured: {1e3 * row:.0f} ms")
    print(f"with update=False: {1e3 * short:.0f} ms")
    print(f"forward and backward pass of {BATCH} samples: {passed:.2f} s")


if __name__ == "__main__":
    main()
