"""The runs that the forecast is fitted and judged on, drawn and split before any of them was made.

Each regime draws its learning rate and weight decay at random. The split is by run, in the order of
drawing, which is random already: of ten runs of a regime four serve the fit, two the choice between
forecasters, four the scores. Two regimes serve the scores alone: a ConvNet on CIFAR-10 (another net
and other data than any run that was fitted on) and schedules.

    python -m benchmarks.foresight.design --out FOLDER   # trains them all, about 25 minutes
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from limitcycle.errors import RunError
from limitcycle.lab import train
from limitcycle.record import Run

SEED = 31_415
Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = (
    *("train", "test", "train", "val", "test"),
    *("train", "test", "train", "val", "test"),
)


@dataclass(frozen=True)
class Regime:
    """A kind of training.

    Attributes:
        name: what it is called in the tables.
        runs: how many are drawn.
        rate: range of η/(1 − μ), log-uniform; for AdamW of η.
        product: range of ηλ/(1 − μ), log-uniform; for AdamW of ηλ.
        times: length of a run in units of 1/product.
        most: steps at most.
        settings: of `Run`; drawn from where there are several.
        optimizer: ``sgd`` is the lab's, ``adamw`` a plain loop that is watched.
        scored_only: none of its runs is fitted on.
    """

    name: str
    runs: int
    rate: tuple[float, float]
    product: tuple[float, float] = (1.5e-3, 1e-2)
    times: float = 12.0
    most: int = 5_000
    settings: tuple[Mapping[str, Any], ...] = field(default=({},))
    optimizer: Literal["sgd", "adamw"] = "sgd"
    scored_only: bool = False


_SMALL_BATCHES = ({"batch_size": 32}, {"batch_size": 64})
_LARGE_BATCHES = ({"batch_size": 256}, {"batch_size": 512})
_SMALL = {"train_size": 256, "batch_size": "full", "width": 32}
_FULL = {"train_size": 512, "batch_size": "full", "width": 64}
_AFFINE = {"norm": "batch-affine", "train_head": True}
_CIFAR = {"data": "cifar10", "width": 8, "resolution": 8, "train_size": 1024, "test_size": 500}

REGIMES = (
    Regime("sgd", 20, (0.2, 8)),
    Regime("sgd narrow", 14, (0.2, 8), settings=({"width": 32}, {"width": 16})),
    Regime("sgd wide", 6, (0.2, 8), settings=({"width": 128}, {"width": 256}), most=3_000),
    Regime("sgd depth", 6, (0.2, 8), settings=({"depth": 2}, {"depth": 5})),
    Regime("sgd small batch", 10, (0.2, 4), (1.5e-3, 6e-3), settings=_SMALL_BATCHES),
    Regime("sgd large batch", 10, (0.2, 8), (2e-3, 1e-2), settings=_LARGE_BATCHES),
    Regime("sgd slow", 8, (0.05, 2), (3e-4, 1.5e-3), most=12_000, settings=({"width": 32},)),
    Regime("momentum", 14, (0.2, 8), settings=({"momentum": 0.9},)),
    Regime(
        "momentum other",
        8,
        (0.2, 8),
        settings=({"momentum": 0.5}, {"momentum": 0.8}, {"momentum": 0.95}),
    ),
    Regime("full batch", 20, (0.3, 8), (4e-3, 2e-2), 25.0, settings=(_SMALL, _FULL)),
    Regime(
        "full batch momentum",
        8,
        (0.3, 8),
        (4e-3, 2e-2),
        25.0,
        settings=({**_SMALL, "momentum": 0.9}, {**_SMALL, "momentum": 0.5}),
    ),
    Regime("affine", 12, (0.2, 4), (1.5e-3, 8e-3), settings=(_AFFINE,)),
    Regime(
        "affine momentum", 6, (0.2, 4), (1.5e-3, 8e-3), settings=({**_AFFINE, "momentum": 0.9},)
    ),
    Regime("layer", 3, (0.2, 4), (2e-3, 8e-3), settings=({"norm": "layer"},)),
    Regime(
        "convnet digits",
        5,
        (0.1, 2),
        (2e-3, 8e-3),
        10.0,
        3_000,
        ({"net": "convnet", "width": 8},),
    ),
    Regime("adamw", 20, (2e-3, 5e-2), settings=({"width": 64}, {"width": 32}), optimizer="adamw"),
    Regime(
        "convnet cifar",
        5,
        (0.1, 2),
        (2e-3, 8e-3),
        10.0,
        2_500,
        ({"net": "convnet", **_CIFAR},),
        scored_only=True,
    ),
    Regime(
        "schedule",
        6,
        (0.3, 4),
        (2e-3, 8e-3),
        settings=({"schedule": "step"}, {"schedule": "cosine"}, {"schedule": "linear"}),
        scored_only=True,
    ),
    # Drawn later, before the scores: of these kinds too few runs for the fit had been periodic.
    Regime(
        "adamw calm",
        24,
        (2e-3, 3e-2),
        (1.5e-3, 5e-3),
        settings=({"width": 64}, {"width": 32}),
        optimizer="adamw",
    ),
    Regime(
        "momentum long",
        12,
        (0.2, 4),
        (2e-3, 8e-3),
        24.0,
        7_000,
        ({"momentum": 0.9}, {"momentum": 0.9, "width": 32}),
    ),
)


@dataclass(frozen=True)
class Planned:
    """One run of the design."""

    name: str
    regime: str
    split: Split
    optimizer: Literal["sgd", "adamw"]
    settings: Mapping[str, Any]

    @property
    def run(self) -> Run:
        """Its description; AdamW shares net, data and order of batches with the lab's."""
        return Run(**self.settings)


def design(seed: int = SEED) -> Iterator[Planned]:
    """All runs, in order; another seed draws others of the same kinds."""
    rng = np.random.default_rng(seed)
    for regime in REGIMES:
        for number in range(regime.runs):
            split = "test" if regime.scored_only else SPLITS[number % len(SPLITS)]
            kind = regime.settings[number % len(regime.settings)]
            settings = {**kind, **_drawn(regime, float(kind.get("momentum", 0.0)), rng)}
            name = f"{regime.name.replace(' ', '-')}-{number:02d}"
            yield Planned(name, regime.name, split, regime.optimizer, settings)


def _drawn(regime: Regime, momentum: float, rng: np.random.Generator) -> dict[str, Any]:
    low, high = np.log([regime.rate, regime.product]).T
    rate, product = np.exp(rng.uniform(low, high))
    steps = int(np.clip(regime.times / product, 1_500, regime.most))
    return {
        "lr": float(rate * (1 - momentum)),
        "weight_decay": float(product / rate),
        "steps": steps,
        "eval_every": steps,
        "seed": int(rng.integers(1_000_000)),
    }


def main() -> None:
    """Train what is missing in the folder."""
    from benchmarks.foresight.adamw import train_adamw

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=SEED, help="of the settings")
    parser.add_argument("--only", nargs="*", help="regimes")
    options = parser.parse_args()
    began = time.monotonic()
    for planned in design(options.seed):
        if options.only and planned.regime not in options.only:
            continue
        folder = options.out / planned.name
        try:
            if planned.optimizer == "adamw":
                train_adamw(planned.run, folder)
            else:
                train(planned.run, folder, threads=1)
        except RunError as problem:
            print(f"{planned.name}: {problem}", flush=True)
        print(f"{time.monotonic() - began:6.0f} s  {planned.name}", flush=True)


if __name__ == "__main__":
    main()
