"""What measuring costs: an engine step against the bare forward and backward pass.

Same net, batch, memory format, allocator and threads, in turn in one process; the ratio of medians
is printed. Run: ``python benchmarks/engine_overhead.py`` (LIMITCYCLE_DATA for CIFAR-10).
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F

from limitcycle.lab import machine
from limitcycle.lab.data import take
from limitcycle.lab.engine import step
from limitcycle.lab.nets import build_net
from limitcycle.lab.setup import Setup, prepare
from limitcycle.lab.training import hyper
from limitcycle.record import Run

CASES = {
    "digits MLP": (Run(net="mlp", data="digits", lr=0.3), 40, 40),
    "ConvNet 32, 32×32": (
        Run(net="convnet", data="cifar10", train_size=2_048, test_size=256),
        12,
        1,
    ),
}


def main() -> None:
    """Measure every case and print a table and JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", help="a word of the case's name")
    arguments = parser.parse_args()
    machine.own_process()
    torch.set_num_threads(arguments.threads)
    where = f"{platform.machine()}, {arguments.threads} threads, torch {torch.__version__}"
    print(f"{where}\n{'case':20} {'bare':>10} {'engine':>10} {'ratio':>6}")
    results = {}
    for name, (run, rounds, steps) in CASES.items():
        if arguments.only and arguments.only not in name:
            continue
        bare, engine, ratio = measure(run, rounds, steps)
        print(f"{name:20} {bare * 1e3:7.3f} ms {engine * 1e3:7.3f} ms {ratio:6.3f}")
        results[name] = {"bare_s": bare, "engine_s": engine, "ratio": ratio}
    print(json.dumps({"where": where, "results": results}))


def measure(run: Run, rounds: int, steps: int) -> tuple[float, float, float]:
    """Seconds a step of the bare pass and of the engine, and the median of their ratios."""
    setup = prepare(run, torch.device("cpu"))
    bare = bare_pass(run, setup)
    engine = engine_step(run, setup)
    times = [(clock(bare, steps), clock(engine, steps)) for _ in range(rounds + 3)]
    bares, engines = zip(*times[3:], strict=True)
    ratio = statistics.median(e / b for b, e in zip(bares, engines, strict=True))
    return statistics.median(bares), statistics.median(engines), ratio


def bare_pass(run: Run, setup: Setup) -> Callable[[], object]:
    """Forward and backward of the plain module on one batch."""
    data = setup.data
    module = build_net(run, data.image_shape, data.classes)
    module = module.to(memory_format=torch.channels_last).train()
    images, labels = first_batch(setup)
    weights = [p for p in module.parameters() if p.requires_grad]
    return lambda: torch.autograd.grad(F.cross_entropy(module(images), labels), weights)


def engine_step(run: Run, setup: Setup) -> Callable[[], object]:
    """The same batch through the engine: derivative, update and measurement."""
    fixed = {**hyper(run, setup), "lr": torch.tensor(run.lr)}
    batch = first_batch(setup)
    state = setup.state

    def once() -> None:
        nonlocal state
        state, _ = step(setup.net, state, batch, fixed)

    return once


def first_batch(setup: Setup) -> tuple[torch.Tensor, torch.Tensor]:
    """One batch, laid out as the training loop lays it out."""
    which = torch.arange(setup.batch_size)
    return take(setup.data.train_images, which), setup.data.train_labels[which]


def clock(call: Callable[[], object], times: int) -> float:
    """Mean seconds a call over ``times`` calls."""
    began = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - began) / times


if __name__ == "__main__":
    main()
