"""Do labels hold on anybody's table? Readings of runs before and after transforms of their tables.

What cannot matter (a·loss + b, norm × c, rows shuffled or repeated, steps in samples or tokens)
must change nothing. What hides jumps (rows missing or far apart, a loss averaged or rounded) may
change a label, but not without a word. The runs are drawn at random, from a seed on which no
constant was chosen.

    python -m benchmarks.laws              # forty runs on digits, about two minutes
    python -m benchmarks.laws --runs 10
"""

import argparse
import functools
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.transforms import BLURRED, EXACT, UNITS, cautious, in_units
from limitcycle.lab import train
from limitcycle.reading import diagnose
from limitcycle.record import Run

SEED = 2_028


def settings(runs: int, seed: int) -> Iterator[dict[str, Any]]:
    """Random runs on digits: ten kinds of training in turn."""
    rng = np.random.default_rng(seed)
    kinds: tuple[dict[str, Any], ...] = (
        {},
        {"width": 32},
        {"batch_size": 64},
        {"batch_size": 256},
        {"momentum": 0.9},
        {"batch_size": None, "width": 32, "train_size": 256},
        {"norm": "batch-affine", "train_head": True},
        {"norm": "layer"},
        {"fixed_norm": "start"},
        {"schedule": "cosine", "momentum": 0.9},
    )
    for i in range(runs):
        kind = kinds[i % len(kinds)]
        momentum = kind.get("momentum", 0.0)
        rate, product = np.exp(rng.uniform(np.log([0.2, 1.5e-3]), np.log([30, 1e-2])))
        yield {
            **kind,
            "lr": float(rate * (1 - momentum)),
            "weight_decay": float(product / rate),
            "steps": int(np.clip(10 / product, 1_500, 5_000)),
            "seed": int(rng.integers(1_000_000)),
        }


def main() -> None:
    """Train, transform, judge; print how many labels changed and how many without a word."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=SEED, help="of the settings")
    options = parser.parse_args()
    runs = options.runs
    changed: Counter[str] = Counter()
    silent: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    words = 0
    for kind in settings(runs, options.seed):
        with tempfile.TemporaryDirectory() as folder:
            steps = train(Run(**kind), Path(folder) / "run", threads=1).steps
        columns = ["step", "loss", "norm", "lr", "weight_decay", "momentum"]
        table = steps[columns].astype({"loss": np.float64})
        before = diagnose(table)
        labels[before.label] += 1
        words += cautious(before)
        units = {name: functools.partial(in_units, unit) for name, unit in UNITS.items()}
        for name, transform in {**EXACT, **units, **BLURRED}.items():
            after = diagnose(transform(table))
            if after.label != before.label:
                changed[name] += 1
                silent[name] += not cautious(after)
        print(f"{before.label:12} {kind}", flush=True)
    print(f"{runs} runs: {dict(labels)}; {words} of them with a word before any transform")
    for name in (*EXACT, *UNITS, *BLURRED):
        print(f"{name:24} {changed[name]:3} labels changed, {silent[name]:2} without a word")


if __name__ == "__main__":
    main()
