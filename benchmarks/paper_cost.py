"""What the whole study would cost at paper scale on one GPU: *estimated*, from counted arithmetic.

Nothing is trained. The floating-point operations of a step, of the test pass and of the paper's
additional pass are counted on each network at full width and multiplied by what the plan of all
nineteen figures asks for; runs that start from others are not in it. The time is that number at an
assumed rate: by default half of the 67 TFLOP/s that one H100 or H200 is specified with in float32
without tensor cores. A step of a small network may take longer than its arithmetic.

    python -m benchmarks.paper_cost               # seconds
    python -m benchmarks.paper_cost --tflops 10   # at another sustained rate
    python -m benchmarks.paper_cost --recorded    # without the additional pass
"""

import functools
from collections import defaultdict
from dataclasses import replace
from itertools import chain
from pathlib import Path

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import options
from limitcycle.lab.nets import build_net
from limitcycle.paper import NUMBERS, Plan, cost, experiments, missing, scale_named
from limitcycle.record import Run

SUSTAINED = 0.5 * 67  # TFLOP/s
TRAIN, TEST, CLASSES = 50_000, 10_000, {"cifar10": 10, "cifar100": 100}


@functools.cache
def image_operations(net: str, data: str, width: int, *, backward: bool) -> float:
    """Floating-point operations an image: forward, and backward to the weights."""
    module = build_net(Run(net=net, data=data, width=width), (3, 32, 32), CLASSES[data])  # type: ignore[arg-type]
    module = module.to("meta").train()
    images = torch.zeros(2, 3, 32, 32, device="meta")
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(backward):
        logits = module(images)
        if backward:
            F.cross_entropy(logits, torch.zeros(2, dtype=torch.long, device="meta")).backward()
    return counter.get_total_flops() / 2


def operations(run: Run) -> float:
    """Of a whole run: its steps, its test passes, its additional passes."""
    train, test = run.train_size or TRAIN, run.test_size or TEST
    batch = run.batch_size if isinstance(run.batch_size, int) else train
    size = (run.net, run.data, run.width)
    step, look = (image_operations(*size, backward=b) for b in (True, False))  # type: ignore[arg-type]
    epoch_steps = -(-train // batch)
    steps = run.steps if run.steps is not None else (run.epochs or 0) * epoch_steps
    every = run.eval_every or (50 if run.batch_size is None else epoch_steps)
    passes = steps // every + 1
    measured = test * look + (train * step if run.train_pass else 0)
    return steps * batch * step + passes * measured


def main() -> None:
    """Print the study's cost by network and in all."""
    parser = options(__doc__)
    parser.add_argument("--tflops", type=float, default=SUSTAINED)
    parser.add_argument("--recorded", action="store_true", help="metrics recorded as it goes")
    given = parser.parse_args()
    scale = scale_named("paper")
    plans = [Plan(figure, scale, Path("none")) for figure in experiments(NUMBERS)]
    runs = missing(plans)
    found: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        run = replace(run, train_pass=run.train_pass and not given.recorded)
        batch = "full batch" if run.batch_size is None else f"batch {run.batch_size}"
        found[f"{run.net} {run.width}, {run.data}, {batch}"].append(operations(run))
    print(f"*Estimated* at {given.tflops:g} TFLOP/s sustained:\n")
    print("| runs of | number | PFLOP a run | hours a run | hours in all |")
    print("| --- | --- | --- | --- | --- |")
    for name, each in [*sorted(found.items()), ("all", list(chain(*found.values())))]:
        mean, total = sum(each) / len(each), sum(each)
        hours = [value / given.tflops / 1e12 / 3600 for value in (mean, total)]
        print(f"| {name} | {len(each)} | {mean / 1e15:,.0f} | {hours[0]:.2f} | {hours[1]:,.1f} |")
    print(f"\nThe plan's own guesses say {cost(scale, runs, 1) / 3600:.0f} hours.")


if __name__ == "__main__":
    main()
