"""Does the advice against jumps help? Periodic trainings, from the moment of the advice on.

A plain loop of PyTorch is watched, as a user's would be, and asked every 50 steps. When a jump is
behind it and none is under way, the training goes on from there as it was, with half the weight
decay, with the line of code that caps the effective learning rate (under AdamW, too, where it is
not given: this is why), and with the norm held at the lowest effective learning rate since the
jump. Judged is what came after.

Jumps are those of `limitcycle.diagnose`, which asks for a turn of the norm; a norm that is held
does not turn, so rises of the loss alone are counted, too.
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

import limitcycle as lc
from benchmarks.causes import net_of
from limitcycle.reading import Advice, diagnose
from limitcycle.reading.advice import CAPPED, cap_of
from limitcycle.reading.advising import code

BATCH = 128
LOOK_EVERY = 50
TEST_EVERY = 20
JUDGED = 1_000  # steps behind the moment at least
LEARNING = 40  # steps behind the moment that are not judged: a new way needs a few to settle


@dataclass(frozen=True)
class Setting:
    """A training that jumps again and again."""

    net: str
    optimizer: str
    lr: float
    weight_decay: float
    steps: int = 2_500

    @property
    def name(self) -> str:
        """For a table."""
        rates = f"η {self.lr:g}, λ {self.weight_decay:g}"
        return f"{_NETS[self.net]}, {_OPTIMIZERS[self.optimizer]}, {rates}"


_NETS = {"batchnorm": "MLP", "affine": "MLP with gains", "conv": "ConvNet"}
_OPTIMIZERS = {"sgd": "SGD", "momentum": "momentum 0.9", "adamw": "AdamW"}

SETTINGS = (
    Setting("batchnorm", "sgd", 0.3, 1.3e-2),
    Setting("batchnorm", "sgd", 1.0, 4e-3),
    Setting("batchnorm", "sgd", 3.0, 1.5e-3),
    Setting("batchnorm", "adamw", 2e-2, 0.3, 3_000),
    Setting("conv", "sgd", 0.5, 1.2e-2),
)


class Data(NamedTuple):
    """The digits."""

    x: Tensor
    y: Tensor
    test_x: Tensor
    test_y: Tensor


def digits() -> Data:
    """1,437 images to train on, 360 to test."""
    found = load_digits()
    x = torch.tensor(found.data / 8 - 1, dtype=torch.float32)
    y = torch.tensor(found.target)
    return Data(x[:1437], y[:1437], x[1437:], y[1437:])


@dataclass
class Training:
    """One training, at some step.

    Attributes:
        rng: draws the batches.
        tables: of the rows so far.
        errors: test error by step.
    """

    setting: Setting
    data: Data
    net: nn.Module
    optimizer: torch.optim.Optimizer
    rng: torch.Generator
    step: int = 0
    tables: list[pd.DataFrame] = field(default_factory=list)
    errors: dict[int, float] = field(default_factory=dict)

    @classmethod
    def begun(cls, setting: Setting, seed: int) -> "Training":
        """At its first step."""
        torch.manual_seed(seed)
        net = conv() if setting.net == "conv" else net_of(setting.net)
        rng = torch.Generator().manual_seed(seed)
        return cls(setting, digits(), net, _optimizer(setting, net), rng)

    def fork(self) -> "Training":
        """Another one at the same point, bit for bit."""
        net = copy.deepcopy(self.net)
        optimizer = _optimizer(self.setting, net)
        optimizer.load_state_dict(copy.deepcopy(self.optimizer.state_dict()))
        rng = torch.Generator()
        rng.set_state(self.rng.get_state())
        tables, errors = list(self.tables), dict(self.errors)
        return Training(self.setting, self.data, net, optimizer, rng, self.step, tables, errors)

    @property
    def table(self) -> pd.DataFrame:
        """All rows so far."""
        return pd.concat(self.tables, ignore_index=True)

    def go(self, until: int, enough: Callable[[lc.Watch], bool] | None = None) -> None:
        """Train and watch up to a step, or until it is enough; asked every `LOOK_EVERY` steps."""
        first = self.step
        with lc.watch(self.net, self.optimizer, quiet=True) as watched:
            while self.step < until and not (enough is not None and self._enough(watched, enough)):
                loss = self._one()
                watched.log(loss=loss)
                if not math.isfinite(loss.item()):
                    break
        rows = watched.steps
        self.tables.append(rows.assign(step=rows["step"] + first))

    def _enough(self, watched: lc.Watch, enough: Callable[[lc.Watch], bool]) -> bool:
        return self.step > 0 and self.step % LOOK_EVERY == 0 and enough(watched)

    def _one(self) -> Tensor:
        chosen = torch.randint(len(self.data.x), (BATCH,), generator=self.rng)
        loss = F.cross_entropy(self.net(self.data.x[chosen]), self.data.y[chosen])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.step += 1
        if self.step % TEST_EVERY == 0:
            self.errors[self.step] = self._error()
        return loss.detach()

    def _error(self) -> float:
        self.net.eval()
        with torch.no_grad():
            said = self.net(self.data.test_x).argmax(dim=1)
        self.net.train()
        return float((said != self.data.test_y).double().mean())


def conv() -> nn.Module:
    """Three normalised convolutions and a head."""
    layers: list[nn.Module] = [nn.Unflatten(1, (1, 8, 8))]
    for before, after, stride in ((1, 8, 1), (8, 16, 2), (16, 16, 2)):
        layers += [nn.Conv2d(before, after, 3, stride, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(after, affine=False), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 10))


def _optimizer(setting: Setting, net: nn.Module) -> torch.optim.Optimizer:
    given: dict[str, Any] = {"lr": setting.lr, "weight_decay": setting.weight_decay}
    if setting.optimizer == "adamw":
        return torch.optim.AdamW(net.parameters(), **given)
    momentum = 0.9 if setting.optimizer == "momentum" else 0.0
    return torch.optim.SGD(net.parameters(), momentum=momentum, **given)


def as_it_was(training: Training, advice: Advice) -> None:
    """Nothing is changed."""


def decay_halved(training: Training, advice: Advice) -> None:
    """Half the weight decay."""
    for group in training.optimizer.param_groups:
        group["weight_decay"] /= 2


def as_the_code_says(training: Training, advice: Advice) -> None:
    """The line of the advice, as it stands; the same one where the product does not give it."""
    _run(training, code(advice))


def norm_held(training: Training, advice: Advice) -> None:
    """The norm of this moment, at the lowest effective learning rate since the last jump."""
    for group in training.optimizer.param_groups:
        group["lr"] /= advice.growth
    _run(training, "limitcycle.hold_norm(optimizer, symmetries)")


def _run(training: Training, line: str) -> None:
    symmetries = lc.symmetries(training.net, training.data.x[:BATCH])
    known = {"limitcycle": lc, "optimizer": training.optimizer, "symmetries": symmetries}
    eval(line, known)  # what a user would copy


WAYS: dict[str, Callable[[Training, Advice], None]] = {
    "as it was": as_it_was,
    "weight decay ÷ 2": decay_halved,
    "capped": as_the_code_says,
    "norm held, learning rate ÷ growth": norm_held,
}


class Outcome(NamedTuple):
    """What came of a way; errors are fractions."""

    setting: str
    seed: int
    way: str
    told_at: int
    cap: float
    jumps: int
    rises: int
    best: float
    median: float
    worst: float
    said_then: str


def after_a_jump(watched: lc.Watch) -> Advice | None:
    """The advice where a jump is behind the run and none is under way, with a cap in any case."""
    found = watched.diagnosis()
    cap = cap_of(found, watched.steps)
    if found.advice.kind not in CAPPED or found.advice.kind == "under-way" or not cap > 0:
        return None
    return replace(found.advice, cap=cap)


def follow(setting: Setting, seed: int, ways: Sequence[str] = tuple(WAYS)) -> Iterator[Outcome]:
    """One training in each way; nothing where it never jumped."""
    base = Training.begun(setting, seed)
    kept: list[Advice] = []

    def enough(watched: lc.Watch) -> bool:
        advice = after_a_jump(watched)
        if advice is not None:
            kept.append(advice)
        return advice is not None

    base.go(setting.steps - JUDGED, enough)
    if not kept:
        return
    for way in ways:
        branch = base.fork()
        WAYS[way](branch, kept[0])
        branch.go(setting.steps)
        yield _judged(branch, base.step, kept[0], seed, way)


def _judged(branch: Training, since: int, advice: Advice, seed: int, way: str) -> Outcome:
    table = branch.table
    found = diagnose(table)
    errors = [error for step, error in branch.errors.items() if step > since + LEARNING]
    return Outcome(
        setting=branch.setting.name,
        seed=seed,
        way=way,
        told_at=since,
        cap=advice.cap,
        jumps=int((found.events["start"] >= since).sum()),
        rises=int((found.spikes["start"] >= since).sum()),
        best=float(np.min(errors)),
        median=float(np.median(errors)),
        worst=float(np.max(errors)),
        said_then=found.advice.kind,
    )


def table(outcomes: Sequence[Outcome]) -> str:
    """Markdown: a row a setting and way, seeds side by side in counts, medians in errors."""
    head = ("training", "way", "jumps", "rises of the loss", "best", "median", "worst")
    lines = [f"| {' | '.join(head)} |", "| --- | --- | --- | --- | ---: | ---: | ---: |"]
    frame = pd.DataFrame(outcomes)
    for (setting, way), rows in frame.groupby(["setting", "way"], sort=False):
        lines.append(_line(setting, way, rows))
    for way, rows in frame.groupby("way", sort=False):
        means = rows[["jumps", "rises"]].mean()
        errors = " | ".join(f"{rows[name].median():.1%}" for name in ("best", "median", "worst"))
        counts = f"{means['jumps']:.1f} | {means['rises']:.1f}"
        lines.append(f"| **all {len(rows)}** | {way} | {counts} | {errors} |")
    return "\n".join(lines)


def _line(setting: str, way: str, rows: pd.DataFrame) -> str:
    jumps, rises = (", ".join(map(str, rows[name])) for name in ("jumps", "rises"))
    errors = " | ".join(f"{rows[name].median():.1%}" for name in ("best", "median", "worst"))
    return f"| {setting} | {way} | {jumps} | {rises} | {errors} |"
