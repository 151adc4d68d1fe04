"""What the lab does to the machine, on the bare forward and backward pass; and where a step goes.

Each setting has a process of its own, because an allocator's threshold cannot be taken back:
PyTorch as it comes, then with glibc keeping freed memory, then channels-last, and then on one
thread, as the lab's workers run. What is left is held against the floor: the same number of
floating-point operations at the speed of a large matrix product. ConvNet of width 32, 32×32,
batch 128, random images.

    python -m benchmarks.machine                                # a minute on two cores
    python -m benchmarks.machine --profile convnet              # the engine's step, by operation
    python -m benchmarks.machine --profile mlp
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import Row, Timed, alone, clock, compared, in_turn, options, shown
from benchmarks.engine_overhead import engine_step
from limitcycle.lab import machine
from limitcycle.lab.nets import build_net
from limitcycle.lab.setup import prepare
from limitcycle.record import Run


class Setting(NamedTuple):
    """How a process is set up; ``threads`` None leaves PyTorch's number."""

    allocator: bool
    channels_last: bool
    threads: int | None = None


PLAIN, ALLOCATOR, LAB = Setting(False, False), Setting(True, False), Setting(True, True)
SINGLE = Setting(True, True, threads=1)
PROFILED = {
    "convnet": Run(net="convnet", data="cifar10", train_size=2_048, test_size=256),
    "resnet18": Run(net="resnet18", data="cifar10", train_size=2_048, test_size=256),
    "mlp": Run(net="mlp", data="digits", lr=0.3),
}


def rows(width: int = 32, batch: int = 128, passes: int = 8, rounds: int = 2) -> list[Row]:
    """Before and after, and what each measure contributes."""
    settings = (PLAIN, ALLOCATOR, LAB, SINGLE)
    calls = [lambda s=s: alone(bare_seconds, s, width, batch, passes) for s in settings]
    plain, kept, lab, single = (float(best) for best in in_turn(calls, rounds).min(axis=0))
    after = Timed("after", lab)
    floor = alone(floor_seconds, SINGLE, width, batch)
    return [
        compared("bare pass before and after lab/machine", Timed("before", plain), after),
        compared("… freed memory kept", Timed("before", plain), Timed("after", kept)),
        compared("… channels-last memory", Timed("before", kept), after),
        compared(
            "… as many threads as cores",
            Timed("one thread", single),
            Timed("as it comes", lab),
        ),
        compared(
            "… one thread against its arithmetic",
            Timed("pass", single),
            Timed("its operations in a matrix product", floor),
        ),
    ]


def bare_seconds(setting: Setting, width: int, batch: int, passes: int) -> float:
    """Seconds of a forward and backward pass under ``setting``: the median, warm."""
    with machine.threads(setting.threads):
        once = bare_pass(setting, width, batch)
        times = [clock(once) for _ in range(passes + 2)]
    return float(torch.tensor(times[2:]).median())


def floor_seconds(setting: Setting, width: int, batch: int, side: int = 2_048) -> float:
    """Seconds that the pass' floating-point operations take in a large matrix product."""
    once = bare_pass(setting, width, batch)
    with FlopCounterMode(display=False) as counter:
        once()
    square = torch.randn(side, side)
    with machine.threads(setting.threads):
        product = min(clock(lambda: square @ square) for _ in range(5))
    return counter.get_total_flops() / (2 * side**3 / product)


def bare_pass(setting: Setting, width: int, batch: int) -> Callable[[], object]:
    """Forward and backward of the plain module, in a process set up like this."""
    if setting.allocator:
        machine.own_process()
    layout = torch.channels_last if setting.channels_last else torch.contiguous_format
    net = build_net(Run(net="convnet", data="cifar10", width=width), (3, 32, 32), 10)
    net = net.to(memory_format=layout).train()
    images = torch.randn(batch, 3, 32, 32).to(memory_format=layout)
    labels = torch.arange(batch) % 10
    weights = [p for p in net.parameters() if p.requires_grad]
    return lambda: torch.autograd.grad(F.cross_entropy(net(images), labels), weights)


def profiled(name: str, steps: int = 5, shown_operations: int = 14) -> str:
    """The engine's step by operation: where its time goes."""
    machine.own_process()
    once = engine_step(PROFILED[name], prepare(PROFILED[name], torch.device("cpu")))
    for _ in range(3):
        once()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(steps):
            once()
    found = seen.key_averages()
    return str(found.table(sort_by="self_cpu_time_total", row_limit=shown_operations))


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--profile", choices=tuple(PROFILED))
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    if given.profile:
        with machine.threads(given.threads):
            print(profiled(given.profile, given.steps))
    else:
        shown(rows)


if __name__ == "__main__":
    main()
