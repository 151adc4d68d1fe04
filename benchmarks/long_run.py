"""What a long run costs the watch: memory of the process and time a step, tenth by tenth.

A net of a few weights, so that the steps are short and many; with and without a folder, each in a
process of its own. Its weights are many small tensors, because groups are what fills memory: of a
million steps with fifty groups they would be 6.5 GB.

    python -m benchmarks.long_run                        # a million steps, twice: minutes
    python -m benchmarks.long_run --steps 100000 --groups 50
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import limitcycle as lc
from benchmarks.common import alone, machine_in_words, options

TENTHS = 10
MEBI = 2**20


class Columns(nn.Module):
    """A sum of linear maps, each normalised over the batch: each a group of its own."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.maps = nn.ParameterList([torch.randn(4) for _ in range(groups)])

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (n,) of inputs (n, 4)."""
        h = x @ torch.stack(list(self.maps), dim=1)
        return ((h - h.mean(dim=0)) / h.std(dim=0)).sum(dim=1)


def watched(steps: int, groups: int, to_folder: bool) -> list[tuple[float, float]]:
    """Resident MiB and seconds a step at the end of each tenth of a run."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = Columns(groups)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, weight_decay=0.01)
    x, y = torch.randn(64, 8, 4), torch.randn(64, 8)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        sink = Path(folder) / "run" if to_folder else None
        with lc.watch(model, optimizer, sink=sink, quiet=True) as watch:
            for _ in range(TENTHS):
                began = time.perf_counter()
                for step in range(steps // TENTHS):
                    optimizer.zero_grad()
                    loss = F.mse_loss(model(x[step % 64]), y[step % 64])
                    loss.backward()
                    optimizer.step()
                    watch.log(loss=loss)
                seconds = (time.perf_counter() - began) * TENTHS / steps
                found.append((resident(), seconds))
            latest = np.median([_seconds_of_latest(watch) for _ in range(101)])
        print(f"latest(), asked again and again: {1e6 * latest:.0f} µs (in a loop more)")
    return found


def _seconds_of_latest(watch: lc.Watch) -> float:
    began = time.perf_counter()
    watch.latest()
    return time.perf_counter() - began


def resident() -> float:
    """MiB of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / MEBI


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--groups", type=int, default=2)
    given = parser.parse_args()
    print(machine_in_words())
    for to_folder in (False, True):
        found = alone(watched, given.steps, given.groups, to_folder)
        memory = ", ".join(f"{mebi:.0f}" for mebi, _ in found)
        times = ", ".join(f"{1e6 * seconds:.0f}" for _, seconds in found)
        print(f"{given.steps:,} steps, {given.groups} groups, {'folder' if to_folder else 'none'}")
        print(f"  MiB in memory, tenth by tenth: {memory}")
        print(f"  µs a step: {times}")


if __name__ == "__main__":
    main()
