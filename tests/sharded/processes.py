"""Several processes on gloo, spawned as ``torchrun`` would."""

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

_WORKER = """
import importlib, os, pickle, sys
import torch
import torch.distributed as dist
torch.set_num_threads(1)
where, name, rank, size, out, given = sys.argv[1:]
rank, size = int(rank), int(size)
store = dist.FileStore(out + "/store", size)
dist.init_process_group("gloo", store=store, rank=rank, world_size=size)
answer = getattr(importlib.import_module(where), name)(rank, size, out, *eval(given))
with open(f"{out}/answer{rank}", "wb") as file:
    pickle.dump(answer, file)
if os.environ.get("LEAVE_AT_ONCE"):
    os._exit(0)
dist.barrier()
dist.destroy_process_group()
"""


def start(work: Any, size: int, out: Path, *given: Any) -> list[subprocess.Popen[str]]:
    """Processes that call ``work(rank, size, out, *given)``, a function of a test module."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    arguments = [work.__module__, work.__name__]
    return [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                _WORKER,
                *arguments,
                str(rank),
                str(size),
                str(out),
                repr(given),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for rank in range(size)
    ]


def run(work: Any, size: int, out: Path, *given: Any) -> list[Any]:
    """What each process answers; they must all end well."""
    out.mkdir(exist_ok=True, parents=True)
    workers = start(work, size, out, *given)
    said = [worker.communicate(timeout=120) for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * size, "\n".join(e for _, e in said)
    answers = []
    for rank in range(size):
        with (out / f"answer{rank}").open("rb") as file:
            answers.append(pickle.load(file))
    return answers
