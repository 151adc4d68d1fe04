"""What is known of optimizers, measured: on a scale-invariant matrix that gets random gradients.

Three things of each, against `limitcycle.reading.optimizers`:

- *power*: by which power of the norm its turn falls. 2 where a step scales with the gradient, 1
  where its length is the learning rate's, 0 where it grows with the weights.
- *decay*: what weight decay takes from the weights in one step, over ηλ. 1 where it shrinks them;
  another number, or a part across the weights, where it is divided with the gradient.
- *rotation* and *norm* at rest, over the formula's; the mean of several seeds and their spread.

Gradients are normal numbers across the weights, divided by the norm: those of a function that sees
the direction only, without any signal. Optimizers that are not installed are left out:

    pip install pytorch_optimizer schedulefree bitsandbytes torchao  # without CUDA, too
    python -m benchmarks.rotation                # three seeds: ten minutes
    python -m benchmarks.rotation --seeds 1 --only Muon
"""

import argparse
import importlib
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from limitcycle.reading.optimizers import Extent, UpdateRule, group_rule, momentum_of

Make = Callable[[list[torch.nn.Parameter]], Any]
SHAPE = (48, 24)
NOISE = 0.05  # gradients' size
POWER_STEPS, DECAY_STEPS, REST_STEPS = 40, 20, 6_000
LAMBDA = 0.02  # of the test of one step


class Case(NamedTuple):
    """An optimizer, how it is made, and at which settings it is to rest.

    Attributes:
        name: as it is shown.
        make: of parameters, keyword arguments go to the optimizer.
        lr, weight_decay: at which it is to rest; a product of a few 1e-4.
        settings: others.
        shape: of the matrix.
    """

    name: str
    make: Callable[..., Any]
    lr: float
    weight_decay: float
    settings: dict[str, Any]
    shape: tuple[int, int] = SHAPE


class Found(NamedTuple):
    """What was measured of one optimizer; NaN where there is nothing to compare with."""

    name: str
    rule: UpdateRule
    power: float
    decay: float
    across: float
    rotation: float
    formula: float
    ratios: list[float]
    norms: list[float]


def cases() -> Iterator[Case]:
    """Every optimizer that is known and installed."""
    yield Case("torch SGD, momentum 0.9", torch.optim.SGD, 0.05, 0.002, {"momentum": 0.9})
    yield Case("torch AdamW", torch.optim.AdamW, 1e-3, 0.3, {})
    yield Case("torch NAdam, decoupled", torch.optim.NAdam, 1e-3, 0.3, _DECOUPLED)
    yield Case("torch Adafactor", torch.optim.Adafactor, 1e-2, 0.03, {})
    for shape in ((32, 32), (64, 16), (16, 64)):
        for adjusted in ("original", "match_rms_adamw"):
            lr, weight_decay = (0.02, 0.02) if adjusted == "original" else (1e-2, 0.04)
            settings = {"adjust_lr_fn": adjusted}
            name = f"torch Muon, {adjusted}, {shape[0]} × {shape[1]}"
            yield Case(name, torch.optim.Muon, lr, weight_decay, settings, shape)
    square = (32, 32)
    plain = {"nesterov": False}
    yield Case("torch Muon without Nesterov, 32 × 32", torch.optim.Muon, 0.02, 0.02, plain, square)
    for package, names in _OTHERS.items():
        try:
            module = importlib.import_module(package)
        except Exception:  # whatever a package raises that finds no GPU
            continue
        for name, (lr, weight_decay, settings) in names.items():
            if kind := getattr(module, name, None):
                shown = f"{package.partition('.')[0]} {name}"
                yield Case(shown, kind, lr, weight_decay, settings)


_DECOUPLED = {"decoupled_weight_decay": True}
_ADAM: tuple[float, float, dict[str, Any]] = (1e-3, 0.3, {})
_SMALL: tuple[float, float, dict[str, Any]] = (1e-3, 0.3, {"min_8bit_size": 0})
_SIGN: tuple[float, float, dict[str, Any]] = (1e-3, 0.3, {"betas": (0.9, 0.99)})
_SPLIT: tuple[float, float, dict[str, Any]] = (1e-3, 0.3, {"weight_decouple": True})
_SGD: tuple[float, float, dict[str, Any]] = (0.05, 0.004, {"momentum": 0.9})
_OTHERS: dict[str, dict[str, tuple[float, float, dict[str, Any]]]] = {
    "pytorch_optimizer": {
        "AdEMAMix": _SPLIT,
        "SOAP": _ADAM,
        "Shampoo": _ADAM,
        "StableAdamW": _ADAM,
        "Adan": _ADAM,
        "Lamb": _ADAM,
        "LARS": (0.05, 0.004, {}),
        "AdamP": _ADAM,
        "SGDP": _SGD,
        "SGDW": (0.05, 0.004, {"momentum": 0.9, "weight_decouple": True}),
        "LaProp": _ADAM,
        "AdaFactor": _ADAM,
        "AdaBelief": _ADAM,
        "ADOPT": _SPLIT,
        "Lion": _SIGN,
    },
    "schedulefree": {
        "AdamWScheduleFree": _ADAM,
        "SGDScheduleFree": (0.05, 0.004, {}),
        "RAdamScheduleFree": _ADAM,
    },
    "bitsandbytes.optim": {
        "AdamW8bit": _SMALL,
        "PagedAdamW8bit": _SMALL,
        "Adam8bit": _SMALL,
        "Lion8bit": (1e-3, 0.3, {"betas": (0.9, 0.99), "min_8bit_size": 0}),
        "LAMB8bit": _SMALL,
        "SGD8bit": (0.05, 0.004, {"momentum": 0.9, "min_8bit_size": 0}),
        "AdEMAMix8bit": _SMALL,
    },
    "torchao.optim": {"AdamW8bit": _ADAM, "AdamW4bit": _ADAM, "AdamWFp8": _ADAM, "Adam8bit": _ADAM},
}


class Noise:
    """A matrix that gets random gradients across it, and an optimizer that steps it."""

    def __init__(self, case: Case, norm: float, seed: int, **settings: Any) -> None:
        self._random = torch.Generator().manual_seed(seed)
        start = torch.randn(*case.shape, generator=self._random)
        self.weights = torch.nn.Parameter(start * (norm / start.norm()))
        settings = {"lr": case.lr, **case.settings, **settings}
        self.optimizer = case.make([self.weights], **settings)
        if hasattr(self.optimizer, "train"):  # schedule-free: the weights that are trained
            self.optimizer.train()

    def step(self) -> tuple[Tensor, Tensor]:
        """The weights before and after a step."""
        x = self.weights.detach().clone()
        gradient = torch.randn(*x.shape, generator=self._random)
        across = gradient - x * ((gradient * x).sum() / x.square().sum())
        self.weights.grad = across * (NOISE / x.norm())
        self.optimizer.step()
        return x, self.weights.detach().clone()


def turn(x: Tensor, y: Tensor) -> float:
    """The angle between two matrices, in radians."""
    x, y = x.double(), y.double()
    along = (x * y).sum() / x.norm()
    across = (y - x * ((x * y).sum() / x.square().sum())).norm()
    return math.atan2(float(across), float(along))


def power(case: Case, seed: int) -> float:
    """By which power of the norm the turn falls."""
    turns = []
    for norm in (2.0, 4.0):
        noise = Noise(case, norm, seed, weight_decay=0.0, lr=case.lr / 50)  # the norm stays
        angles = [turn(*noise.step()) for _ in range(POWER_STEPS)]
        turns.append(sum(angles[-10:]))
    return math.log2(turns[0] / turns[1])


def decay(case: Case, seed: int) -> tuple[float, float]:
    """What weight decay adds to one step: along −ηλ·weights, and across them, over ηλρ."""
    after = []
    for weight_decay in (0.0, LAMBDA):
        noise = Noise(case, 2.0, seed, weight_decay=0.0)
        for _ in range(DECAY_STEPS):
            noise.step()
        for settings in (noise.optimizer.param_groups[0], noise.optimizer.defaults):
            settings["weight_decay"] = weight_decay
        x, y = noise.step()
        after.append(y)
    added = after[1] - after[0]
    share = (added * x).sum() / x.square().sum()
    size = case.lr * LAMBDA
    return float(-share / size), float((added - share * x).norm() / x.norm() / size)


def rest(case: Case, seed: int) -> tuple[float, float, float, float, UpdateRule]:
    """Rotation and norm of the later half of a run, root mean squares, and the formulas' values."""
    noise = Noise(case, 2.0, seed, weight_decay=case.weight_decay)
    group = noise.optimizer.param_groups[0]
    rule = group_rule([kind.__name__ for kind in type(noise.optimizer).__mro__], group)
    settings = [np.array([[v]]) for v in (case.lr, case.weight_decay, float(momentum_of(group)))]
    extent = Extent(math.prod(case.shape), (case.shape,))
    gradient = np.array([[NOISE * math.sqrt(extent.entries)]])
    norm, rotation = (float(v[0, 0]) for v in rule.rest(*settings, gradient, [extent]))
    if not math.isfinite(rotation):
        return math.nan, math.nan, rotation, norm, rule
    if math.isfinite(norm):  # from near there, or it takes long
        noise = Noise(case, 1.05 * norm, seed, weight_decay=case.weight_decay)
    angles, norms = [], []
    for step in range(REST_STEPS):
        x, y = noise.step()
        if step >= REST_STEPS // 2:
            angles.append(turn(x, y))
            norms.append(float(x.norm()))
    return _root_mean_square(angles), _root_mean_square(norms), rotation, norm, rule


def _root_mean_square(values: list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def measure(case: Case, seeds: int) -> Found:
    """All of one optimizer."""
    resting = [rest(case, seed) for seed in range(seeds)]
    along, across = decay(case, 0)
    return Found(
        name=case.name,
        rule=resting[0][4],
        power=power(case, 0),
        decay=along,
        across=across,
        rotation=float(np.mean([each[0] for each in resting])),
        formula=resting[0][2],
        ratios=[each[0] / each[2] for each in resting],
        norms=[each[1] / each[3] for each in resting],
    )


def row(found: Found) -> str:
    """A line of the table."""
    rule = found.rule
    cells = [
        found.name,
        rule.scaling,
        f"{found.power:.2f}",
        "ηλ" if rule.decays else "–",
        f"{found.decay:.2f}" + (f" (across {found.across:.2f})" if found.across > 0.1 else ""),
        rule.equilibrium or "–",
        f"{found.rotation:.5f}" if math.isfinite(found.rotation) else "–",
        _spread(found.ratios),
        _spread(found.norms),
    ]
    return "| " + " | ".join(cells) + " |"


def _spread(ratios: list[float]) -> str:
    if not all(map(math.isfinite, ratios)):
        return "–"
    return f"{np.mean(ratios):.3f} ± {np.std(ratios):.3f}"


def main() -> None:
    """Print the table as it is made."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="part of a name")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    names = "optimizer", "scales with", "power", "known to shrink by", "decay ÷ ηλ", "formula of"
    names += "rotation, rad", "÷ formula", "norm ÷ formula"
    print("| " + " | ".join(names) + " |")
    print("| " + " | ".join("---" for _ in names) + " |")
    for case in cases():
        if given.only.lower() in case.name.lower():
            try:
                print(row(measure(case, given.seeds)), flush=True)
            except Exception as problem:
                print(f"| {case.name} | could not be run: {type(problem).__name__}: {problem} |")


if __name__ == "__main__":
    main()
