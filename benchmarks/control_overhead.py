"""What a control costs: time inside its hooks ÷ time of the whole step, median, in one run.

ResNet-18, width 64, 32×32, batch 128, SGD with momentum in float32, random images, a learning rate
that changes every step. Clocks stand before and behind the control's own hooks. Beside the ratio of
elapsed times stands that of the process's CPU times, which a busy machine disturbs less. Run:
``python benchmarks/control_overhead.py`` (a few minutes on two cores; --width 8 for a quick look).
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import Optimizer

import limitcycle as lc
from limitcycle.lab import machine
from limitcycle.lab.nets import build_net
from limitcycle.record import Run

Control = Callable[[Optimizer, lc.Symmetries], Any]
CONTROLS: dict[str, Control] = {
    'hold_norm, "current", all': lambda o, s: lc.hold_norm(o, s, per="all"),
    'hold_norm, "current", group': lambda o, s: lc.hold_norm(o, s),
    "hold_norm, schedule, group": lambda o, s: lc.hold_norm(o, s, lambda t: 5 + t % 2),
    "hold_effective_lr, 0.01, group": lambda o, s: lc.hold_effective_lr(o, s, 0.01),
    "without_radial, group": lambda o, s: lc.without_radial(o, s),
    "decay_with_lr": lambda o, s: lc.decay_with_lr(o, s),
}


def main() -> None:
    """Measure every control and print a table and JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--only", default="", help="a word of the control's name")
    arguments = parser.parse_args()
    machine.own_process()
    torch.set_num_threads(arguments.threads)
    where = f"{platform.machine()}, {arguments.threads} threads, torch {torch.__version__}"
    print(f"{where}\n{'control':32} {'step':>10} {'hooks':>10} {'ratio':>8} {'CPU':>8}", flush=True)
    results = {}
    for name, control in CONTROLS.items():
        if arguments.only in name:
            step, hooks, ratio, cpu = measure(control, arguments)
            row = f"{name:32} {step:8.3f} s {hooks * 1e3:7.2f} ms {ratio:8.2%} {cpu:8.2%}"
            print(row, flush=True)
            results[name] = {"step_s": step, "hooks_s": hooks, "ratio": ratio, "cpu_ratio": cpu}
    print(json.dumps({"where": where, "width": arguments.width, "results": results}))


def now() -> torch.Tensor:
    """Elapsed and CPU seconds, (2,)."""
    return torch.tensor([time.perf_counter(), time.process_time()], dtype=torch.float64)


def measure(control: Control, arguments: argparse.Namespace) -> tuple[float, ...]:
    """Medians after the first step: seconds a step, seconds in hooks, their ratio, that of CPU."""
    net, symmetries = resnet(arguments.width)
    optimizer = decaying(net, symmetries)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10 * arguments.steps)
    clocks: list[torch.Tensor] = []
    tick = lambda *_: clocks.append(now())  # noqa: E731
    optimizer.register_step_pre_hook(tick)
    optimizer.register_step_post_hook(tick)
    control(optimizer, symmetries)
    optimizer.register_step_pre_hook(tick)
    optimizer.register_step_post_hook(tick)
    images, labels = torch.randn(arguments.batch, 3, 32, 32), torch.arange(arguments.batch) % 10
    images = images.to(memory_format=torch.channels_last)
    times = []
    for _ in range(arguments.steps + 1):
        clocks.clear()
        began = now()
        optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimizer.step()
        took = now() - began
        scheduler.step()
        times.append((took, clocks[1] - clocks[0] + clocks[3] - clocks[2]))
    steps, hooks = (torch.stack(column) for column in zip(*times[1:], strict=True))
    ratios = (hooks / steps).median(0).values
    return float(steps[:, 0].median()), float(hooks[:, 0].median()), *ratios.tolist()


def resnet(width: int) -> tuple[nn.Module, lc.Symmetries]:
    """The lab's ResNet-18, and its symmetries as a narrow twin tells them."""
    run = Run(net="resnet18", data="cifar10", width=width)
    net = build_net(run, (3, 32, 32), 10).to(memory_format=torch.channels_last).train()
    narrow = build_net(Run(net="resnet18", data="cifar10", width=4), (3, 16, 16), 10).train()
    return net, lc.symmetries(narrow, torch.randn(32, 3, 16, 16)).bound(net)


def decaying(net: nn.Module, symmetries: lc.Symmetries) -> Optimizer:
    """SGD with momentum; weight decay on scale-invariant tensors only."""
    mine = set(symmetries.scale_invariant)
    named = [(name, p) for name, p in net.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for name, p in named if name in mine], "weight_decay": 5e-4},
        {"params": [p for name, p in named if name not in mine]},
    ]
    return torch.optim.SGD([g for g in groups if g["params"]], lr=0.1, momentum=0.9)


if __name__ == "__main__":
    main()
