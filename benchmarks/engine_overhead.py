"""What measuring costs: an engine step against the bare forward and backward pass.

Same net, batch, memory format, allocator and threads, in turn in one process; the ratio is the
median of ratios. CIFAR-10 comes from LIMITCYCLE_DATA or the hub.

    python -m benchmarks.engine_overhead                  # one thread, as the lab's workers have
    python -m benchmarks.engine_overhead --only digits
"""

from collections.abc import Callable

import torch
from torch.nn import functional as F

from benchmarks.common import Row, clock, options, paired, shown
from limitcycle.lab import machine
from limitcycle.lab.data import take
from limitcycle.lab.engine import step
from limitcycle.lab.nets import build_net
from limitcycle.lab.setup import Setup, prepare
from limitcycle.lab.training import hyper
from limitcycle.record import Run

# The run, rounds, steps a round, and the bound.
CASES = {
    "digits MLP": (Run(net="mlp", data="digits", lr=0.3), 60, 40, 1.35),
    "ConvNet 32, 32×32": (
        Run(net="convnet", data="cifar10", train_size=2_048, test_size=256),
        12,
        1,
        1.10,
    ),
}


def rows(threads: int = 1, only: str = "") -> list[Row]:
    """Every case."""
    machine.own_process()
    with machine.threads(threads):
        return [
            row(f"engine, {name}", run, rounds, steps, bound)
            for name, (run, rounds, steps, bound) in CASES.items()
            if only in name
        ]


def row(name: str, run: Run, rounds: int, steps: int, bound: float) -> Row:
    """Seconds a step of the engine and of the bare pass."""
    setup = prepare(run, torch.device("cpu"))
    bare, engine = bare_pass(run, setup), engine_step(run, setup)
    return paired(
        name,
        ("engine step", lambda: clock(engine, steps)),
        ("bare forward and backward", lambda: clock(bare, steps)),
        rounds,
        at_most=bound,
    )


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


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="a word of the case's name")
    given = parser.parse_args()
    shown(lambda: rows(given.threads, given.only))


if __name__ == "__main__":
    main()
