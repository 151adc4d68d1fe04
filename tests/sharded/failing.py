"""What may happen to one process of several, as functions that each of them runs."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, ShardingStrategy, fully_shard

import limitcycle as lc
from tests.sharded import nets
from tests.sharded.cases import fsdp2, plain_step

STEPS, AT = 24, 11


def _job(size: int) -> tuple[Any, Any]:
    model = fsdp2(nets.net(), size)
    return model, nets.sgd(model)


def closes_alone(rank: int, size: int, out: str, who: int) -> tuple[int, float]:
    """One process closes early; all train on. Rows that there are, and seconds it took."""
    model, optimizer = _job(size)
    begin = time.monotonic()
    w = lc.watch(model, optimizer, nets.INVARIANT, sink=f"{out}/closes{who}", timeout=5)
    for step in range(STEPS):
        plain_step(model, optimizer, step, rank, size)
        if rank == who and step == AT:
            w.close()
    w.close()
    return len(w.steps), time.monotonic() - begin


def fails_alone(rank: int, size: int, out: str) -> tuple[int, float]:
    """Measuring fails on the last process; all train on."""
    model, optimizer = _job(size)
    begin = time.monotonic()
    w = lc.watch(model, optimizer, nets.INVARIANT, sink=f"{out}/fails", timeout=5)
    for step in range(STEPS):
        if rank == size - 1 and step == AT:
            w._measured.products.before = None  # type: ignore[union-attr, method-assign, assignment]
        plain_step(model, optimizer, step, rank, size)
    w.close()
    return len(w.steps), time.monotonic() - begin


def watches_alone(rank: int, size: int, out: str) -> tuple[int, float]:
    """The first process watches, as under DDP."""
    model, optimizer = _job(size)
    begin = time.monotonic()
    w = None
    if rank == 0:
        w = lc.watch(model, optimizer, nets.INVARIANT, timeout=2)
    for step in range(STEPS):
        plain_step(model, optimizer, step, rank, size)
    if w is not None:
        w.close()
    return 0 if w is None else len(w.steps), time.monotonic() - begin


def goes_on(rank: int, size: int, out: str) -> dict[str, tuple[int, float]]:
    """All that ends watching and no training, one after the other."""
    return {
        "last closes": closes_alone(rank, size, out, size - 1),
        "first closes": closes_alone(rank, size, out, 0),
        "fails": fails_alone(rank, size, out),
        "watches alone": watches_alone(rank, size, out),
    }


def raises(rank: int, size: int, out: str) -> None:
    """The last process raises in its loop."""

    def leave() -> None:
        raise RuntimeError("of the user's")

    _without_the_last(rank, size, out, leave)


def is_killed(rank: int, size: int, out: str) -> None:
    """The last process is killed."""
    _without_the_last(rank, size, out, lambda: os.kill(os.getpid(), signal.SIGKILL))


def _without_the_last(rank: int, size: int, out: str, leave: Callable[[], None]) -> None:
    model, optimizer = _job(size)
    with lc.watch(model, optimizer, nets.INVARIANT, sink=f"{out}/run", timeout=5) as w:
        for step in range(STEPS):
            plain_step(model, optimizer, step, rank, size)
            w.log(loss=1.0)
            if rank == size - 1 and step == AT:
                leave()


def refusals(rank: int, size: int, out: str) -> dict[str, Any]:
    """What is refused, and in which words."""
    given: dict[str, Any] = {"device_id": torch.device("cpu")}
    found: dict[str, Any] = {}
    flat = FullyShardedDataParallel(nets.net(), **given)
    hybrid = FullyShardedDataParallel(
        nets.net(),
        sharding_strategy=ShardingStrategy._HYBRID_SHARD_ZERO2,
        device_mesh=init_device_mesh("cpu", (1, size)),
        use_orig_params=True,
        **given,
    )
    for name, model in (("flat", flat), ("hybrid", hybrid)):
        try:
            lc.watch(model, nets.sgd(model))
        except lc.UserError as problem:
            found[name] = str(problem)
    model = nets.net()
    with torch.no_grad():
        model.two.weight[0] += rank
    fully_shard(model, ignored_params={model.two.weight})
    optimizer = nets.sgd(model)
    with lc.watch(model, optimizer, nets.INVARIANT, timeout=10) as w:
        plain_step(model, optimizer, 0, rank, size)
    found["differ"] = w.run_data().notes, len(w.steps)
    try:
        lc.hold_norm(optimizer, lc.symmetries(nets.net(), nets.batch(0)[0]).bound(model))
    except lc.UserError as problem:
        found["control"] = str(problem)
    try:
        lc.symmetries(model, nets.batch(0)[0])
    except lc.UserError as problem:
        found["search"] = str(problem)
    return found
