"""Trainings on several processes, each with the same one in a single process."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import (
    CPUOffloadPolicy,
    FullyShardedDataParallel,
    MixedPrecisionPolicy,
    fully_shard,
)
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

import limitcycle as lc
from tests.sharded import nets

STEPS = 12
Step = Callable[[nn.Module, Any, int, int, int], Tensor]


class Attention(nn.Module):
    """A pre-norm block without biases, and a layer before it that no plan for tensors names."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        kind = {"bias": False, "dtype": dtype}
        self.inp = nn.Linear(3, 8, **kind)
        self.block = Residual(dtype)
        self.last = nn.LayerNorm(8, dtype=dtype)
        self.head = nn.Linear(8, 3, **kind)

    def forward(self, x: Tensor) -> Tensor:
        x = x.view(len(x), 4, 3)
        return self.head(self.last(self.block(self.inp(x)))).mean(1)


class Residual(nn.Module):
    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8, dtype=dtype)
        self.up = nn.Linear(8, 16, bias=False, dtype=dtype)
        self.down = nn.Linear(16, 8, bias=False, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(torch.tanh(self.up(self.norm(x))))


class Convolutions(nn.Module):
    """A ResNet of width 7, with batch normalisation."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        kind = {"padding": 1, "bias": False, "dtype": dtype}
        self.first = nn.Conv2d(1, 7, 3, **kind)
        self.norm1 = nn.BatchNorm2d(7, affine=False, dtype=dtype)
        self.second = nn.Conv2d(7, 7, 3, **kind)
        self.norm2 = nn.BatchNorm2d(7, dtype=dtype)
        self.head = nn.Linear(7, 3, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm1(self.first(x.view(len(x), 1, 3, 4))))
        x = torch.relu(x + self.norm2(self.second(x)))
        return self.head(x.mean((2, 3)))


def plain_step(model: nn.Module, optimizer: Any, step: int, rank: int, size: int) -> Tensor:
    """On this process's part of the batch."""
    _zero(optimizer)
    loss = nets.loss_of(model, *nets.shard(step, rank, size, _dtype(model)))
    loss.backward()
    _step(optimizer)
    return loss


def equal_step(model: nn.Module, optimizer: Any, step: int, rank: int, size: int) -> Tensor:
    """All processes on the whole batch."""
    return plain_step(model, optimizer, step, 0, 1)


def accumulated_step(model: nn.Module, optimizer: Any, step: int, rank: int, size: int) -> Tensor:
    """Two batches, summed over processes with the second only; clipped."""
    _zero(optimizer)
    losses = []
    for half in (0, 1):
        if hasattr(model, "set_requires_gradient_sync"):
            model.set_requires_gradient_sync(half == 1)
        loss = nets.loss_of(model, *nets.shard(2 * step + half, rank, size)) / 2
        loss.backward()
        losses.append(loss.detach())
    nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    _step(optimizer)
    return losses[0] + losses[1]


def ignoring_step(model: nn.Module, optimizer: Any, step: int, rank: int, size: int) -> Tensor:
    """What fully_shard ignores is averaged by hand."""
    _zero(optimizer)
    loss = nets.loss_of(model, *nets.shard(step, rank, size))
    loss.backward()
    for parameter in model.parameters():
        if size > 1 and not isinstance(parameter, DTensor):
            dist.all_reduce(parameter.grad)
            parameter.grad /= size
    _step(optimizer)
    return loss


def _dtype(model: nn.Module) -> torch.dtype:
    return next(model.parameters()).dtype


def _zero(optimizer: Any) -> None:
    for each in optimizer if isinstance(optimizer, list) else [optimizer]:
        each.zero_grad()


def _step(optimizer: Any) -> None:
    for each in optimizer if isinstance(optimizer, list) else [optimizer]:
        each.step()


@dataclass
class Case:
    """One training.

    ``shard`` spreads the model over the processes, ``optimizer`` is made after it.
    """

    model: Callable[[], nn.Module]
    shard: Callable[[nn.Module, int], nn.Module]
    optimizer: Callable[[nn.Module], Any]
    step: Step
    invariant: list[str]
    share: bool = False
    alone: Callable[[nn.Module], Any] | None = None


def fsdp2(model: nn.Module, size: int, **settings: Any) -> nn.Module:
    for child in model.children():
        if any(True for _ in child.parameters(recurse=False)):
            fully_shard(child, **settings)
    fully_shard(model, **settings)
    return model


def hsdp(model: nn.Module, size: int) -> nn.Module:
    mesh = init_device_mesh("cpu", (2, size // 2), mesh_dim_names=("replicate", "shard"))
    return fsdp2(model, size, mesh=mesh)


def ignoring(model: nn.Module, size: int) -> nn.Module:
    fully_shard(model, ignored_params={model.two.weight})
    return model


def offloaded(model: nn.Module, size: int) -> nn.Module:
    return fsdp2(model, size, offload_policy=CPUOffloadPolicy(pin_memory=False))


def kept(model: nn.Module, size: int) -> nn.Module:
    return fsdp2(model, size, reshard_after_forward=False)


def _plan() -> dict[str, Any]:
    return {
        "block": PrepareModuleInput(
            input_layouts=(Replicate(),), desired_input_layouts=(Shard(1),)
        ),
        "block.norm": SequenceParallel(),
        "block.up": ColwiseParallel(input_layouts=Shard(1), use_local_output=False),
        "block.down": RowwiseParallel(output_layouts=Shard(1), use_local_output=False),
        "last": SequenceParallel(),
        "head": ColwiseParallel(input_layouts=Shard(1), output_layouts=Replicate()),
    }


def tensor_parallel(model: nn.Module, size: int) -> nn.Module:
    return parallelize_module(model, init_device_mesh("cpu", (size,)), _plan())


def fsdp_and_tensor(model: nn.Module, size: int) -> nn.Module:
    mesh = init_device_mesh("cpu", (2, size // 2), mesh_dim_names=("data", "tensor"))
    parallelize_module(model, mesh["tensor"], _plan())
    fully_shard(model.block, mesh=mesh["data"])
    return fully_shard(model, mesh=mesh["data"])


def fsdp_and_tensor_step(model: nn.Module, optimizer: Any, step: int, rank: int, size: int) -> Any:
    return plain_step(model, optimizer, step, rank // 2, 2 if size > 1 else 1)


def ddp(model: nn.Module, size: int) -> nn.Module:
    return DistributedDataParallel(model)


def fsdp1(model: nn.Module, size: int) -> nn.Module:
    given = {"use_orig_params": True, "device_id": torch.device("cpu")}
    model.two = FullyShardedDataParallel(model.two, **given)
    return FullyShardedDataParallel(model, **given)


def two_optimizers(model: nn.Module) -> list[Any]:
    matrices = [p for name, p in model.named_parameters() if name in nets.INVARIANT]
    rest = [p for name, p in model.named_parameters() if name not in nets.INVARIANT]
    first = torch.optim.SGD(matrices, lr=0.02, weight_decay=0.1)
    return [first, torch.optim.AdamW(rest, lr=0.01, weight_decay=0.1)]


def muon(model: nn.Module) -> list[Any]:
    matrices = [p for name, p in model.named_parameters() if name in nets.INVARIANT]
    rest = [p for name, p in model.named_parameters() if name not in nets.INVARIANT]
    first = torch.optim.Muon(matrices, lr=0.02, weight_decay=0.1)
    return [first, torch.optim.AdamW(rest, lr=0.01, weight_decay=0.1)]


def zero(model: nn.Module) -> Any:
    # Importing it warns, and a warning is an error to the tests' own process.
    from torch.distributed.optim import ZeroRedundancyOptimizer

    return ZeroRedundancyOptimizer(model.parameters(), torch.optim.AdamW, lr=0.01, weight_decay=0.1)


def experts(model: nn.Module, size: int) -> nn.Module:
    """Rows of a matrix on two processes each, as experts are, on a part of the job's mesh."""
    mesh = init_device_mesh("cpu", (size // 2, 2), mesh_dim_names=("data", "expert"))
    whole = distribute_tensor(model.two.weight.detach(), mesh["expert"], [Shard(0)])
    model.two.weight = nn.Parameter(whole)
    model.two.forward = lambda x: F.linear(x, model.two.weight.full_tensor())
    return model


CASES: dict[str, Case] = {
    "fsdp2": Case(nets.net, fsdp2, nets.sgd, plain_step, nets.INVARIANT),
    "fsdp2 adamw": Case(nets.net, fsdp2, nets.adamw, plain_step, nets.INVARIANT),
    "float32": Case(
        lambda: nets.net(dtype=torch.float32), fsdp2, nets.sgd, plain_step, nets.INVARIANT
    ),
    "hsdp": Case(nets.net, hsdp, nets.adamw, accumulated_step, nets.INVARIANT),
    "empty shards": Case(lambda: nets.net(3), fsdp2, nets.sgd, plain_step, nets.INVARIANT),
    "width 7": Case(Convolutions, fsdp2, nets.sgd, equal_step, ["first.weight", "second.weight"]),
    "ignored": Case(nets.net, ignoring, nets.sgd, ignoring_step, nets.INVARIANT),
    "offloaded": Case(nets.net, offloaded, nets.sgd, plain_step, nets.INVARIANT),
    "not resharded": Case(nets.net, kept, nets.sgd, plain_step, nets.INVARIANT),
    "tensor parallel": Case(
        Attention, tensor_parallel, nets.adamw, equal_step, ["block.up.weight"]
    ),
    "fsdp and tensor": Case(
        Attention, fsdp_and_tensor, nets.adamw, fsdp_and_tensor_step, ["block.up.weight"]
    ),
    "two optimizers": Case(nets.net, fsdp2, two_optimizers, plain_step, nets.INVARIANT),
    "muon": Case(nets.net, fsdp2, muon, plain_step, nets.INVARIANT),
    "ddp": Case(nets.net, ddp, nets.adamw, plain_step, nets.INVARIANT, share=True),
    "fsdp1": Case(nets.net, fsdp1, nets.adamw, plain_step, nets.INVARIANT),
    "zero": Case(nets.net, ddp, zero, plain_step, nets.INVARIANT, alone=nets.adamw),
    "experts": Case(nets.net, experts, nets.sgd, equal_step, nets.INVARIANT),
}


def train(name: str, rank: int, size: int, sink: Any, *, watched: bool = True) -> dict[str, Any]:
    """Tables and weights of a training, on this process."""
    case = CASES[name]
    torch.manual_seed(0)
    model = case.model()
    if size > 1:
        model = case.shard(model, size)
    optimizer = (case.alone or case.optimizer)(model) if size == 1 else case.optimizer(model)
    if not watched:
        for step in range(STEPS):
            case.step(model, optimizer, step, rank, size)
        return {"weights": _here(model)}
    settings: dict[str, Any] = {"quiet": True, "share": case.share, "timeout": 60}
    with lc.watch(model, optimizer, case.invariant, sink=sink, **settings) as w:
        for step in range(STEPS):
            w.log(loss=case.step(model, optimizer, step, rank, size))
    return {
        "steps": w.steps,
        "groups": w.groups,
        "weights": _here(model),
        "notes": w.run_data().notes,
    }


def _here(model: nn.Module) -> list[Tensor]:
    with torch.no_grad():
        values = [p.to_local() if isinstance(p, DTensor) else p for p in model.parameters()]
        return [value.detach().clone() for value in values]


def work(rank: int, size: int, out: str, names: list[str], twice: bool) -> dict[str, Any]:
    """What a process does: one training after the other, and each without a watch."""
    found: dict[str, Any] = {}
    for name in names:
        found[name] = train(name, rank, size, f"{out}/{name}")
        if twice:
            again = train(name, rank, size, None, watched=False)["weights"]
            pairs = zip(again, found[name]["weights"], strict=True)
            found[name]["same"] = all(torch.equal(one, two) for one, two in pairs)
    return found


CONTROLS: dict[str, Callable[[Any, Any], Any]] = {
    "hold_norm current": lambda o, s: lc.hold_norm(o, s),
    "hold_norm 3": lambda o, s: lc.hold_norm(o, s, lambda step: 3.0 + step, per="all"),
    "hold_effective_lr": lambda o, s: lc.hold_effective_lr(o, s, 0.005),
    "without_radial": lambda o, s: lc.without_radial(o, s),
    "decay_with_lr": lambda o, s: lc.decay_with_lr(o, s, peak=0.02),
}


def control(rank: int, size: int, out: str, names: list[str]) -> dict[str, Any]:
    """Weights after a few steps under each control, whole, by name."""
    found = {}
    for name in names:
        model = nets.net(5)  # shards are uneven, and one of four is empty
        batch = (*nets.batch(0),)
        symmetries = lc.symmetries(model, batch[0])
        if size > 1:
            fsdp2(model, size)
        optimizer = nets.adamw(model)
        symmetries = symmetries.bound(model)
        lc.split_groups(optimizer, symmetries)
        with CONTROLS[name](optimizer, symmetries):
            for step in range(6):
                plain_step(model, optimizer, step, rank, size)
        found[name] = nets.whole(model)
    return found


def half(model: nn.Module, size: int) -> nn.Module:
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    return fsdp2(model, size, mp_policy=policy)


WITH_WHOLE = {
    "muon": CASES["muon"],
    "half": Case(lambda: nets.net(dtype=torch.float32), half, nets.sgd, plain_step, nets.INVARIANT),
}


def against_whole(rank: int, size: int, out: str, names: list[str]) -> dict[str, float]:
    """The largest relative error of norms of weights, gradients and updates, by full tensors."""
    found = {}
    for name in names:
        case = WITH_WHOLE[name]
        model = case.shard(case.model(), size)
        optimizer = case.optimizer(model)
        true: list[tuple[float, float, float]] = []
        seen: list[Tensor] = []

        def look(*_: Any, model: nn.Module = model, seen: list[Tensor] = seen) -> None:
            named = dict(model.named_parameters())
            several = [named[each].grad for each in nets.INVARIANT]
            seen.append(torch.cat([g.full_tensor().double().flatten() for g in several]))

        first = optimizer[0] if isinstance(optimizer, list) else optimizer
        first.register_step_pre_hook(look)
        with lc.watch(model, optimizer, case.invariant, quiet=True, timeout=60) as w:
            for step in range(STEPS):
                before = _joined(model)
                case.step(model, optimizer, step, rank, size)
                change = float((_joined(model) - before).norm() / before.norm())
                true.append((float(before.norm()), float(seen[-1].norm()), change))
        columns = ["norm", "grad_norm", "relative_update"]
        measured = torch.tensor(w.steps[columns].to_numpy())
        exact = torch.tensor(true, dtype=torch.float64)[: len(measured)]
        found[name] = float(((measured - exact).abs() / exact).max())
    return found


def _joined(model: nn.Module) -> Tensor:
    values = nets.whole(model)
    return torch.cat([values[name].double().flatten() for name in nets.INVARIANT])


def pipeline(rank: int, size: int, out: str) -> Any:
    """Two stages, each on a process of its own; one process has both. Gradients are handed on."""
    torch.manual_seed(0)
    model = nets.net()
    stages = nn.ModuleDict({"first": nn.Sequential(model.one, model.norm1)})
    stages["second"] = nn.Sequential(model.two, model.norm2, model.head)
    mine = stages
    if size > 1:
        mine = nn.ModuleDict({("first", "second")[rank]: stages[("first", "second")[rank]]})
    optimizer = nets.sgd(mine)
    given = [f"{name}.0.weight" for name in mine]
    with lc.watch(mine, optimizer, given, sink=f"{out}/p{size}", quiet=True, share=True) as w:
        for step in range(STEPS):
            optimizer.zero_grad()
            x, y = nets.batch(step)
            if size == 1:
                F.cross_entropy(stages["second"](stages["first"](x)), y).backward()
            elif rank == 0:
                between = stages["first"](x)
                dist.send(between.detach(), 1)
                back = torch.empty_like(between)
                dist.recv(back, 1)
                between.backward(back)
            else:
                between = torch.empty(nets.SAMPLES, 40, dtype=torch.float64)
                dist.recv(between, 0)
                between.requires_grad_()
                loss = F.cross_entropy(stages["second"](between), y)
                loss.backward()
                w.log(loss=loss)
                dist.send(between.grad, 0)
            optimizer.step()
    return w.steps, w.groups


def twice(rank: int, size: int, out: str) -> list[int]:
    """Two trainings into one folder: which steps the second one's table has."""
    for _ in range(2):
        model = fsdp2(nets.net(), size)
        optimizer = nets.sgd(model)
        with lc.watch(model, optimizer, nets.INVARIANT, sink=f"{out}/run", quiet=True) as w:
            for step in range(STEPS):
                plain_step(model, optimizer, step, rank, size)
    return [w.step, *w.steps["step"]]
