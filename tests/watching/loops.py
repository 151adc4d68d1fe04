"""Training loops as people write them, each with what its every step should show."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import limitcycle as lc

RATE, DECAY = 0.05, 0.1


class Net(nn.Module):
    """Two scale-invariant matrices, a head, and a gain that nothing is invariant in."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(12, 160, bias=False), nn.Linear(160, 120, bias=False)
        self.norm1 = nn.BatchNorm1d(160, affine=False)
        self.norm2 = nn.BatchNorm1d(120, affine=False)
        self.head = nn.Linear(120, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.norm1(self.one(x)))
        return self.head(torch.tanh(self.norm2(self.two(x))))


def net() -> Net:
    torch.manual_seed(0)
    return Net()


def batch(step: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(step)
    return torch.randn(24, 12, generator=random), torch.randint(3, (24,), generator=random)


def loss_of(model: nn.Module, step: int, part: slice = slice(None)) -> Tensor:
    x, y = batch(step)
    x = x.to(next(model.parameters()).dtype)
    return F.cross_entropy(model(x[part]), y[part])


@dataclass
class Loop:
    """One step of training: (model, optimizer, step) → loss; and the gradients it should use."""

    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    step: Callable[[nn.Module, torch.optim.Optimizer, int], Any]
    gradients: Callable[[nn.Module, int], dict[str, Tensor]]
    wrap: Callable[[nn.Module], nn.Module] = lambda model: model


def exact(model: nn.Module, losses: Callable[[nn.Module], Tensor]) -> dict[str, Tensor]:
    """Gradients of ``losses`` in float64, by name."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(losses(model), parameters)
    return dict(zip(names, found, strict=True))


def plain_gradients(model: nn.Module, step: int) -> dict[str, Tensor]:
    return exact(model, lambda m: loss_of(m, step))


def plain_step(model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> Tensor:
    optimizer.zero_grad()
    loss = loss_of(model, step)
    loss.backward()
    optimizer.step()
    return loss


def clipped_step(model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> Tensor:
    optimizer.zero_grad()
    loss = loss_of(model, step)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.01)
    optimizer.step()
    return loss


def clipped_gradients(model: nn.Module, step: int) -> dict[str, Tensor]:
    gradients = plain_gradients(model, step)
    norm = torch.stack([g.norm() for g in gradients.values()]).norm()
    return {name: g * min(1.0, 0.01 / float(norm)) for name, g in gradients.items()}


HALVES = (slice(0, 12), slice(12, 24))


def accumulated_step(model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> Tensor:
    optimizer.zero_grad()
    losses = [loss_of(model, step, half) / 2 for half in HALVES]
    for loss in losses:
        loss.backward()
    optimizer.step()
    return sum(losses).detach()


def accumulated_gradients(model: nn.Module, step: int) -> dict[str, Tensor]:
    return exact(model, lambda m: sum(loss_of(m, step, half) / 2 for half in HALVES))


def closure_step(model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> Tensor:
    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = loss_of(model, step)
        loss.backward()
        return loss

    return optimizer.step(closure)


def scaled_step(scaler: Any) -> Callable[..., Tensor]:
    def step(model: nn.Module, optimizer: torch.optim.Optimizer, at: int) -> Tensor:
        optimizer.zero_grad()
        loss = loss_of(model, at)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss

    return step


def scheduled_step(model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> Tensor:
    for group in optimizer.param_groups:
        group["lr"] = RATE / (1 + step)
    return plain_step(model, optimizer, step)


def two_groups(model: nn.Module) -> torch.optim.Optimizer:
    rest = [p for name, p in model.named_parameters() if not name.startswith("one")]
    groups = [{"params": model.one.parameters(), "lr": 0.2, "weight_decay": 0.0}, {"params": rest}]
    return torch.optim.SGD(groups, lr=RATE, weight_decay=DECAY)


def of(kind: Any, **settings: Any) -> Callable[[nn.Module], torch.optim.Optimizer]:
    settings = {"lr": RATE, "weight_decay": DECAY, **settings}
    return lambda model: kind(model.parameters(), **settings)


def _plain(kind: Any, **settings: Any) -> Loop:
    return Loop(of(kind, **settings), plain_step, plain_gradients)


def scaler() -> Any:
    return torch.amp.GradScaler("cpu", init_scale=1024.0)


SGD, ADAM, ADAMW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
LOOPS: dict[str, Callable[[], Loop]] = {
    "sgd": lambda: _plain(SGD),
    "momentum": lambda: _plain(SGD, momentum=0.9),
    "nesterov foreach": lambda: _plain(SGD, momentum=0.9, nesterov=True, foreach=True),
    "nesterov": lambda: _plain(SGD, momentum=0.9, nesterov=True, foreach=False),
    "maximize": lambda: _plain(SGD, maximize=True, foreach=True),
    "adam": lambda: _plain(ADAM),
    "adamw": lambda: _plain(ADAMW),
    "adamw foreach": lambda: _plain(ADAMW, foreach=True),
    "sgd fused": lambda: _plain(SGD, momentum=0.9, nesterov=True, fused=True),
    "adamw fused": lambda: _plain(ADAMW, fused=True),
    "rmsprop": lambda: _plain(torch.optim.RMSprop),
    "lr is a tensor": lambda: _plain(ADAMW, lr=torch.tensor(RATE), foreach=False),
    "clipping": lambda: Loop(of(SGD), clipped_step, clipped_gradients),
    "accumulation": lambda: Loop(of(SGD), accumulated_step, accumulated_gradients),
    "closure": lambda: Loop(of(SGD, momentum=0.9), closure_step, plain_gradients),
    "lbfgs": lambda: Loop(
        lambda model: torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3),
        closure_step,
        plain_gradients,
    ),
    "scaler": lambda: Loop(of(ADAMW), scaled_step(scaler()), plain_gradients),
    "scaler fused": lambda: Loop(of(ADAMW, fused=True), scaled_step(scaler()), plain_gradients),
    "two groups": lambda: Loop(two_groups, plain_step, plain_gradients),
    "schedule": lambda: Loop(of(SGD), scheduled_step, plain_gradients),
}


@dataclass
class Seen:
    """What was true around a step, in float64."""

    before: dict[str, Tensor]
    gradients: dict[str, Tensor]
    after: dict[str, Tensor]
    loss: float


def run(loop: Loop, steps: int, **settings: Any) -> tuple[lc.Watch, list[Seen], Net]:
    """Train under watch; what the watch holds, and what was true around each step."""
    model = net()
    optimizer = loop.optimizer(model)
    called, seen = loop.wrap(model), []
    with lc.watch(called, optimizer, quiet=True, **settings) as w:
        for step in range(steps):
            oracle = net().double()
            oracle.load_state_dict(model.state_dict())
            before = weights(model)
            loss = loop.step(called, optimizer, step)
            seen.append(
                Seen(before, loop.gradients(oracle, step), weights(model), float(loss.detach()))
            )
            w.log(loss=loss)
    return w, seen, model


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().double().clone() for name, p in model.named_parameters()}


def joined(tensors: dict[str, Tensor], names: tuple[str, ...]) -> Tensor:
    return torch.cat([tensors[name].flatten() for name in names])


def groups_of() -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "one.weight", ("one.weight",)
    yield "two.weight", ("two.weight",)
    yield "other", ("head.weight", "head.bias")
