"""What a control costs: time inside its hooks ÷ time of the whole step, median, in one run.

ResNet-18, width 64, 32×32, batch 128, SGD with momentum in float32, random images, a learning rate
that changes every step. A clock times the control's own hooks. The lab's allocator
and memory format make the step as short as it gets, and so the share as large.

    python -m benchmarks.control_overhead             # a minute on two cores
    python -m benchmarks.control_overhead --width 8   # a quick look
"""

import statistics
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

import limitcycle as lc
from benchmarks.common import HookClock, Row, Timed, clock, options, shown
from benchmarks.models import resnet
from limitcycle.lab import machine

Control = Callable[[Optimizer, lc.Symmetries], Any]
CONTROLS: dict[str, Control] = {
    'hold_norm, "current", all': lambda o, s: lc.hold_norm(o, s, per="all"),
    'hold_norm, "current", group': lambda o, s: lc.hold_norm(o, s),
    "hold_norm, schedule, group": lambda o, s: lc.hold_norm(o, s, lambda t: 5 + t % 2),
    "hold_effective_lr, 0.01, group": lambda o, s: lc.hold_effective_lr(o, s, 0.01),
    "without_radial, group": lambda o, s: lc.without_radial(o, s),
    "decay_with_lr": lambda o, s: lc.decay_with_lr(o, s),
}
AT_MOST = 0.02  # of a step


def rows(width: int = 64, batch: int = 128, steps: int = 6, only: str = "") -> list[Row]:
    """Every control's share of a ResNet-18 step."""
    machine.own_process()
    chosen = {name: control for name, control in CONTROLS.items() if only in name}
    return [row(name, control, width, batch, steps) for name, control in chosen.items()]


def row(name: str, control: Control, width: int, batch: int, steps: int) -> Row:
    """Medians after the first step, in which some controls look at where they begin."""
    bench = resnet(width, batch)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(bench.optimizer, 10 * steps)
    hooks = HookClock(bench.optimizer)
    hooks.stand()
    control(bench.optimizer, bench.symmetries)
    hooks.stand()
    times = []
    for _ in range(steps + 1):
        step = clock(bench.step)
        times.append((hooks.take(), step))
        scheduler.step()
    inside, whole = zip(*times[1:], strict=True)
    return Row(
        f"control, ResNet-18: {name}",
        Timed("hooks", statistics.median(inside)),
        Timed("step", statistics.median(whole)),
        statistics.median(a / b for a, b in times[1:]),
        at_most=AT_MOST,
    )


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--only", default="", help="a word of the control's name")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    shown(lambda: rows(given.width, given.batch, given.steps, given.only))


if __name__ == "__main__":
    main()
