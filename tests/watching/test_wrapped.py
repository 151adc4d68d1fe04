"""Models in wrappers: compiled, and distributed over two processes."""

import math
import subprocess
import sys

import pytest
import torch

import limitcycle as lc
from tests.watching import loops
from tests.watching.test_rows import STEPS, check


def test_a_compiled_model_is_watched_like_itself():
    loop = loops.LOOPS["sgd"]()
    loop.wrap = lambda model: torch.compile(model, backend="eager")
    w, seen, _ = loops.run(loop, STEPS)
    assert w.symmetries.scale_invariant == ("one.weight", "two.weight")
    for t in range(STEPS):
        check(w.steps.iloc[t], seen[t], ("one.weight", "two.weight"))
    torch.compiler.reset()


WORKER = """
import sys, torch
from torch.nn.parallel import DistributedDataParallel
import limitcycle as lc
from tests.watching import loops

rank, out = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
store = torch.distributed.FileStore(out + "/store", 2)
torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
model = loops.net()
ddp = DistributedDataParallel(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01)
gradients = []
with lc.watch(ddp, optimizer, sink=out + "/run", quiet=True) as w:
    for step in range(4):
        optimizer.zero_grad()
        loss = loops.loss_of(ddp, step, loops.HALVES[rank])
        loss.backward()
        gradients.append(float(torch.cat([model.one.weight.grad.flatten(),
                                          model.two.weight.grad.flatten()]).norm()))
        optimizer.step()
        w.log(loss=loss)
if rank == 0:
    print(*gradients)
# Neither leaves while the other still talks, nor ends with the group's threads alive: aborts.
torch.distributed.barrier()
del ddp
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_are_watched_by_the_first(tmp_path):
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(rank), str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    answers = [worker.communicate(timeout=240) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], answers
    run = lc.load(tmp_path / "run")
    # Averaged over both processes, as the optimizer uses them.
    averaged = [float(norm) for norm in answers[0][0].split()]
    assert run.steps["grad_norm"].to_list() == pytest.approx(averaged, rel=1e-5)
    assert run.status == {"state": "done", "step": 4, "reason": ""}
    assert all(math.isfinite(loss) for loss in run.steps["loss"])
