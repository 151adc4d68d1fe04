"""What finding the symmetries costs: `lc.symmetries` of a ResNet-18 against a step of training.

Width 64, 32×32, batch 128: the model as it is trained, nothing cached.

    python -m benchmarks.search_cost    # half a minute on two cores
"""

import torch

import limitcycle as lc
from benchmarks.common import Row, Timed, clock, compared, options, shown
from benchmarks.models import resnet
from limitcycle.lab import machine

WITHIN = 60.0  # seconds


def rows(width: int = 64, batch: int = 128, side: int = 32) -> list[Row]:
    """One search and the median of three steps."""
    machine.own_process()
    bench = resnet(width, batch, side)
    search = clock(lambda: lc.symmetries(bench.net, bench.images))
    bench.step()
    step = float(torch.tensor([clock(bench.step) for _ in range(3)]).median())
    what = f"symmetry search, ResNet-18, batch {batch}"
    return [compared(what, Timed("search", search), Timed("training step", step), within=WITHIN)]


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--width", type=int, default=64)
    given = parser.parse_args()
    shown(lambda: rows(given.width))


if __name__ == "__main__":
    main()
