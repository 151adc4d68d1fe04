"""What watching costs where weights are sharded: CPU time in hooks ÷ CPU time of a step.

::

    python -m benchmarks.sharded            # 2, 4 and 8 processes on gloo

Each process prints its own share. CPU time, not wall time: the processes share few cores, and wait
for each other.
"""

import subprocess
import sys
import tempfile
import time
from functools import wraps
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.nn import functional as F

import limitcycle as lc

WIDTH, BLOCKS, BATCH, STEPS = 512, 6, 384, 24


class Layer(nn.Module):
    """Two matrices around a normalisation, and a way around them."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(WIDTH, 2 * WIDTH, bias=False)
        self.norm = nn.LayerNorm(2 * WIDTH)
        self.down = nn.Linear(2 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The stream with this block's part."""
        return x + self.down(torch.relu(self.norm(self.up(x))))


def work(rank: int, size: int, folder: str) -> None:
    """One process."""
    torch.set_num_threads(1)
    store = dist.FileStore(f"{folder}/store", size)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size)
    model = nn.Sequential(*(Layer() for _ in range(BLOCKS)), nn.Linear(WIDTH, 10))
    for block in model:
        fully_shard(block)
    fully_shard(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    spent = [0.0]
    _time(lc.Watch, "_before", spent)
    _time(lc.Watch, "_after", spent)
    x, y = torch.randn(BATCH, WIDTH), torch.randint(10, (BATCH,))
    with lc.watch(model, optimizer, "*.up.weight", quiet=True):
        for step in range(STEPS):
            if step == STEPS // 4:  # the first steps settle who counts what
                spent[0], begin = 0.0, time.process_time()
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    counted = STEPS - STEPS // 4
    whole = time.process_time() - begin - spent[0]
    entries = sum(p.numel() for p in model.parameters())
    answer = (
        f"process {rank} of {size}, {entries / 1e6:.1f} M weights: "
        f"step {whole / counted * 1e3:.0f} ms CPU, hooks {spent[0] / counted * 1e3:.2f} ms, "
        f"{100 * spent[0] / whole:.1f} %"
    )
    answers: list[Any] = [None] * size
    dist.all_gather_object(answers, answer)
    if rank == 0:
        print(*answers, sep="\n", flush=True)
    dist.barrier()
    dist.destroy_process_group()


def _time(owner: Any, name: str, spent: list[float]) -> None:
    method = getattr(owner, name)

    @wraps(method)
    def timed(*given: Any) -> Any:
        begin = time.thread_time()
        try:
            return method(*given)
        finally:
            spent[0] += time.thread_time() - begin

    setattr(owner, name, timed)


def main() -> None:
    """All sizes, one after the other."""
    for size in (2, 4, 8):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "benchmarks.sharded"]
            workers = [
                subprocess.Popen([*command, str(rank), str(size), folder], cwd=Path.cwd())
                for rank in range(size)
            ]
            for worker in workers:
                worker.wait()


if __name__ == "__main__":
    if len(sys.argv) == 4:
        work(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    else:
        main()
