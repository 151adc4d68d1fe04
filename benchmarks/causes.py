"""Are the causes of spikes named rightly? Each cause is put into small trainings, strong and weak.

A plain loop of PyTorch is watched, as a user's would be. At one step a learning rate rises, a batch
is spoilt, gradients are computed wrongly, or an optimizer loses its state; other runs spike by
themselves, for their effective learning rate grew or Adam's second moment lagged behind. What the
reading says of the first spike behind the step is counted, strong and weak injections apart.

    python -m benchmarks.causes --seeds 3               # three of each, about ten minutes
    python -m benchmarks.causes --seeds 1 --first 900   # other seeds
    python -m benchmarks.causes --set harder            # low precision, order of data, larger nets
"""

import argparse
import copy
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

import limitcycle as lc
from limitcycle.reading import diagnose

BATCH = 128
SEEN_WITHIN = 25  # steps behind the injection at which a spike counts as its

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Case:
    """One training. What the cause is happens at step ``at``; without one it comes by itself."""

    cause: str
    strength: str
    net: str
    optimizer: str
    lr: float
    weight_decay: float
    steps: int
    at: int | None = None
    how: str = ""
    size: float = 0.0
    beta2: float = 0.999
    precision: str = "float32"
    order: str = "shuffled"

    @property
    def name(self) -> str:
        """For a table."""
        parts = [f"{self.cause}, {self.strength}: {self.how or 'by itself'}"]
        if self.precision != "float32":
            parts.append(self.precision)
        if self.order != "shuffled":
            parts.append(f"data {self.order}")
        if self.net in LARGER:
            parts.append(self.net)
        return ", ".join(parts)


class Block(nn.Module):
    """A pre-norm layer of a Transformer: attention and a small MLP, each behind a LayerNorm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``x``, (batch, tokens, width), and what is added to it."""
        seen = self.before(x)
        x = x + self.attention(seen, seen, seen, need_weights=False)[0]
        return x + self.mlp(self.between(x))


class Transformer(nn.Module):
    """The eight rows of a digit as tokens."""

    def __init__(self, width: int = 32, blocks: int = 2) -> None:
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.place = nn.Parameter(0.1 * torch.randn(8, width))
        self.blocks = nn.Sequential(*[Block(width) for _ in range(blocks)])
        self.last, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (batch, 10), of images (batch, 64)."""
        tokens = self.embed(x.view(-1, 8, 8)) + self.place
        return self.head(self.last(self.blocks(tokens)).mean(dim=1))


LARGER = ("convnet", "deep transformer")


def convnet(width: int = 16, depth: int = 4) -> nn.Module:
    """Convolutions with BatchNorm and gains, a pooling and a head."""
    layers: list[nn.Module] = [nn.Unflatten(1, (1, 8, 8))]
    before = 1
    for number in range(depth):
        stride = 2 if number % 2 else 1
        layers += [nn.Conv2d(before, width, 3, stride, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(width), nn.ReLU()]
        before = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * width, 10))


def net_of(name: str) -> nn.Module:
    """One of the small networks, or a somewhat larger one."""
    if name == "transformer":
        return Transformer()
    if name == "deep transformer":
        return Transformer(width=64, blocks=4)
    if name == "convnet":
        return convnet()
    kinds: dict[str, Callable[[], nn.Module]] = {
        "batchnorm": lambda: nn.BatchNorm1d(64, affine=False),
        "affine": lambda: nn.BatchNorm1d(64),
        "layernorm": lambda: nn.LayerNorm(64),
        "plain": nn.Identity,
    }
    kind = kinds[name]
    bias = name == "plain"
    layers = [nn.Linear(64, 64, bias=bias), kind(), nn.ReLU()]
    layers += [nn.Linear(64, 64, bias=bias), kind(), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(64, 10))


def optimizer_of(case: Case, net: nn.Module) -> torch.optim.Optimizer:
    """The optimizer that the case names."""
    settings = {"lr": case.lr, "weight_decay": case.weight_decay}
    if case.optimizer == "adamw":
        return torch.optim.AdamW(net.parameters(), betas=(0.9, case.beta2), **settings)
    momentum = 0.9 if case.optimizer == "momentum" else 0.0
    return torch.optim.SGD(net.parameters(), momentum=momentum, **settings)


def cases(seed: int) -> Iterator[Case]:
    """All kinds with settings drawn at random."""
    rng = np.random.default_rng(seed)

    def near(value: float) -> float:
        return float(value * np.exp(rng.uniform(-0.4, 0.4)))

    trained = [
        ("batchnorm", "sgd", 0.5, 2e-4),
        ("affine", "momentum", 0.05, 2e-4),
        ("layernorm", "sgd", 0.2, 2e-4),
        ("transformer", "adamw", 1e-3, 1e-2),
        ("batchnorm", "adamw", 2e-3, 1e-2),
    ]
    injections = [
        ("batch", "strong", "labels shuffled", 1.0),
        ("batch", "weak", "labels shuffled", 0.25),
        ("batch", "strong", "inputs × 100", 100.0),
        ("batch", "weak", "inputs × 10", 10.0),
        ("learning rate", "strong", "× 30 for 15 steps", 30.0),
        ("learning rate", "weak", "× 5 for 15 steps", 5.0),
        ("arithmetic", "strong", "gradient × 1,000", 1000.0),
        ("arithmetic", "weak", "gradient × 30", 30.0),
        ("arithmetic", "strong", "20 entries overflow", 64.0),
    ]
    for net, optimizer, lr, decay in trained:
        for cause, strength, how, size in injections:
            at = int(rng.integers(500, 700))
            yield Case(cause, strength, net, optimizer, near(lr), decay, 800, at, how, size)
    for net, optimizer, lr, decay in trained[3:]:
        at = int(rng.integers(500, 700))
        yield Case("optimizer", "–", net, optimizer, near(4 * lr), decay, 800, at, "state lost")
    for net, optimizer, lr, product, steps in (
        ("batchnorm", "sgd", 0.5, 4e-3, 1_500),
        ("affine", "sgd", 0.5, 6e-3, 1_500),
        ("batchnorm", "momentum", 0.1, 8e-4, 1_500),
        ("layernorm", "sgd", 0.5, 6e-3, 1_500),
        ("batchnorm", "adamw", 3e-3, 4e-3, 1_500),
    ):
        rate = near(lr)
        yield Case("effective learning rate", "–", net, optimizer, rate, product / rate, steps)
    for _ in range(2):
        yield Case("second moment", "–", "plain", "adamw", near(1.5e-2), 0.0, 3_000, beta2=0.99)


def harder(seed: int) -> Iterator[Case]:
    """What no threshold was chosen on: low precision, order of data, larger nets, resumes."""
    rng = np.random.default_rng(seed)

    def near(value: float) -> float:
        return float(value * np.exp(rng.uniform(-0.4, 0.4)))

    def at(first: int = 500, last: int = 700) -> int:
        return int(rng.integers(first, last))

    by_itself = "effective learning rate"
    small = [("batchnorm", "sgd", 0.5, 2e-4), ("layernorm", "sgd", 0.2, 2e-4)]
    for precision in ("float16 and scaler", "bfloat16"):
        low = {"precision": precision}
        for net, optimizer, lr, decay in small:
            for cause, how, size in (
                ("batch", "labels shuffled", 1.0),
                ("learning rate", "× 30 for 15 steps", 30.0),
                ("arithmetic", "scale left in", 1024.0),
            ):
                given = cause, "strong", net, optimizer, near(lr), decay, 800, at(), how, size
                yield Case(*given, **low)
        rate = near(0.5)
        yield Case(by_itself, "–", "batchnorm", "sgd", rate, 4e-3 / rate, 1_500, **low)
    for net, optimizer, lr, decay in small:
        rate = near(lr)
        yield Case("none", "–", net, optimizer, rate, decay, 800, order="in a fixed order")
        yield Case("batch", "–", net, optimizer, rate, decay, 800, order="sorted by label")
    rate = near(0.5)
    given = by_itself, "–", "batchnorm", "sgd", rate, 4e-3 / rate, 1_500
    yield Case(*given, order="in a fixed order")
    for cause, strength, how, size in (
        ("batch", "strong", "labels shuffled", 1.0),
        ("batch", "weak", "labels shuffled", 0.25),
        ("learning rate", "strong", "× 30 for 15 steps", 30.0),
        ("arithmetic", "strong", "gradient × 1,000", 1000.0),
    ):
        rate, when = near(0.02), at()
        yield Case(cause, strength, "convnet", "momentum", rate, 2e-4, 800, when, how, size)
        rate, when = near(1e-3), at(300, 400)
        if strength == "strong":
            yield Case(
                cause, strength, "deep transformer", "adamw", rate, 1e-2, 500, when, how, size
            )
    rate = near(0.3)
    yield Case(by_itself, "–", "convnet", "sgd", rate, 6e-3 / rate, 1_500)
    for net, lr in (("transformer", 2e-2), ("batchnorm", 5e-2), ("convnet", 3e-2)):
        rate, when = near(lr), at()
        yield Case("optimizer", "–", net, "adamw", rate, 1e-2, 800, when, "state lost")
        yield Case("none", "–", net, "adamw", rate, 1e-2, 800, when, "resumed with its state")


@dataclass(frozen=True)
class Remedy:
    """What the advice asks for: a largest gradient norm from a step on; the rest as it should be.

    Attributes:
        clip, since: largest norm of the gradient, from this step on.
        kept: the learning rate rises ten times as slowly; the optimizer keeps its state.
    """

    clip: float = math.inf
    since: int = 0
    kept: bool = False


AS_IT_WAS = Remedy()


def train(case: Case, seed: int, remedy: Remedy = AS_IT_WAS) -> lc.Watch:
    """One case, trained and watched."""
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    digits = load_digits()
    x = torch.tensor(digits.data[:1437] / 8 - 1, dtype=torch.float32)
    y = torch.tensor(digits.target[:1437])
    if case.net == "plain":  # a loss that becomes very low
        x, y = x[:512], y[:512]
    net = net_of(case.net)
    optimizer = optimizer_of(case, net)
    if case.order == "sorted by label":
        along = torch.argsort(y, stable=True)
        x, y = x[along], y[along]
    scaler = torch.amp.GradScaler("cpu", enabled=case.precision.startswith("float16"))
    with lc.watch(net, optimizer, quiet=True) as watched:
        for step in range(case.steps):
            chosen = torch.randint(len(x), (BATCH,), generator=rng)
            if case.order != "shuffled":
                chosen = torch.arange(step * BATCH, (step + 1) * BATCH) % len(x)
            batch = x[chosen], y[chosen]
            if step == case.at:
                batch = spoilt(case, batch, rng)
                if case.cause == "optimizer" and not remedy.kept:
                    optimizer.state.clear()
                if case.how == "resumed with its state":
                    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
            optimizer.param_groups[0]["lr"] = case.lr * rise_of(case, step, remedy)
            with autocast(case):
                loss = F.cross_entropy(net(batch[0]), batch[1])
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            if step == case.at and case.cause == "arithmetic":
                strike(case, net, rng)
            if step >= remedy.since and remedy.clip < math.inf:
                nn.utils.clip_grad_norm_(net.parameters(), remedy.clip)
            scaler.step(optimizer)
            scaler.update()
            watched.log(loss=loss)
            if not math.isfinite(loss.item()):
                break
    return watched


def autocast(case: Case) -> torch.autocast:
    """In which type the products of the case are computed."""
    dtype = torch.float16 if case.precision.startswith("float16") else torch.bfloat16
    return torch.autocast("cpu", dtype, enabled=case.precision != "float32")


def rise_of(case: Case, step: int, remedy: Remedy) -> float:
    """The factor on the learning rate: at once for 15 steps, or slowly up to it over 150."""
    if case.cause != "learning rate" or case.at is None or step < case.at:
        return 1.0
    if remedy.kept:
        return float(case.size ** min((step - case.at) / 150, 1))
    return case.size if step < case.at + 15 else 1.0


def spoilt(case: Case, batch: Batch, rng: torch.Generator) -> Batch:
    """The batch as the case's data would have it."""
    x, y = batch
    if case.how == "labels shuffled":
        some = torch.arange(round(case.size * len(y)))
        y = y.clone()
        y[some] = y[some][torch.randperm(len(some), generator=rng)]
    if case.how.startswith("inputs"):
        x = x.clone()
        x[::2] *= case.size
    return x, y


def strike(case: Case, net: nn.Module, rng: torch.Generator) -> None:
    """Gradients as wrong arithmetic leaves them."""
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    if case.how.startswith(("gradient", "scale")):
        torch._foreach_mul_(gradients, case.size)
        return
    for gradient in gradients:
        flat = gradient.view(-1)
        flat[torch.randint(len(flat), (20,), generator=rng)] = case.size


def said_of(case: Case, table: pd.DataFrame) -> list[str]:
    """The causes named of the spikes that are the case's: at most three of a run."""
    found = diagnose(table)
    rises = pd.concat([found.spikes, found.changes]).sort_values("start")
    if case.at is None:
        rises = rises[rises["start"] >= 200]
    else:
        behind = rises["start"] - case.at
        rises = rises[(behind >= -3) & (behind <= SEEN_WITHIN)].head(1)
    return list(rises["cause"].head(3))


def main() -> None:
    """Train all cases and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=500)
    parser.add_argument("--keep", type=Path, help="folder for the tables")
    parser.add_argument("--set", choices=("plain", "harder"), help="only these")
    options = parser.parse_args()
    counts: dict[str, Counter[str]] = {}
    for seed in range(options.first, options.first + options.seeds):
        plain = cases(seed) if options.set != "harder" else []
        others = harder(seed) if options.set != "plain" else []
        for i, case in enumerate([*plain, *others]):
            table = train(case, seed).steps
            if options.keep is not None:
                options.keep.mkdir(parents=True, exist_ok=True)
                name = f"{seed}-{i:02}"
                table.to_parquet(options.keep / f"{name}.parquet")
                (options.keep / f"{name}.txt").write_text(repr(case))
            row = counts.setdefault(case.name, Counter())
            row.update(said_of(case, table) or ["no spike"])
    for name, row in counts.items():
        print(f"{name:50} {', '.join(f'{said} {n}' for said, n in row.most_common())}")


if __name__ == "__main__":
    main()
