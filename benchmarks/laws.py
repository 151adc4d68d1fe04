"""Do labels hold on anybody's table? Readings of runs before and after transforms of their tables.

What cannot matter (a·loss + b, norm × c, rows shuffled or repeated, steps in samples or tokens)
must change nothing. What hides jumps (rows missing or far apart, a loss averaged or rounded) may
change a label, but not without a word. The runs are drawn at random, from a seed on which no
constant was chosen.

    python -m benchmarks.laws              # forty runs on digits, about six minutes
    python -m benchmarks.laws --runs 10
"""

import argparse
import functools
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from limitcycle.lab import train
from limitcycle.reading import Diagnosis, diagnose
from limitcycle.record import Run

SEED = 2_028
Transform = Callable[[pd.DataFrame], pd.DataFrame]


def thinned(rows: int, table: pd.DataFrame) -> pd.DataFrame:
    """Every so many rows one."""
    return table.iloc[::rows]


def rolling(rows: int, table: pd.DataFrame) -> pd.DataFrame:
    """The mean of the loss over so many rows."""
    return table.assign(loss=table["loss"].rolling(rows, min_periods=1).mean())


def decaying(share: float, table: pd.DataFrame) -> pd.DataFrame:
    """An exponential mean of the loss, as loggers show it."""
    return table.assign(loss=table["loss"].ewm(alpha=share).mean())


def epochs(rows: int, table: pd.DataFrame) -> pd.DataFrame:
    """Means over epochs of so many rows."""
    groups = np.arange(len(table)) // rows
    means = table.groupby(groups).mean()
    return means.assign(step=table.groupby(groups)["step"].last())


def in_units(unit: int, table: pd.DataFrame) -> pd.DataFrame:
    """Steps that count samples or tokens."""
    return table.assign(step=table["step"] * unit)


EXACT: Mapping[str, Transform] = {
    "loss + 0.03": lambda t: t.assign(loss=t["loss"] + 0.03),
    "loss + 0.3": lambda t: t.assign(loss=t["loss"] + 0.3),
    "loss + 1": lambda t: t.assign(loss=t["loss"] + 1),
    "loss - 5": lambda t: t.assign(loss=t["loss"] - 5),
    "loss × 128": lambda t: t.assign(loss=t["loss"] * 128),
    "loss in bits": lambda t: t.assign(loss=t["loss"] / np.log(2)),
    "2.9 + 0.01 × loss": lambda t: t.assign(loss=2.9 + 0.01 * t["loss"]),
    "norm ÷ 1000": lambda t: t.assign(norm=t["norm"] * 1e-3),
    "norm × 50": lambda t: t.assign(norm=t["norm"] * 50),
    "rows shuffled": lambda t: t.sample(frac=1, random_state=1),
    "rows repeated": lambda t: pd.concat([t, t.sample(frac=0.5, random_state=2)]),
}
UNITS = {"steps in samples": 128, "steps in tokens": 524_288}
BLURRED: Mapping[str, Transform] = {
    "30 % of rows missing": lambda t: t.sample(frac=0.7, random_state=3).sort_values("step"),
    "30 % of losses missing": lambda t: t.assign(loss=t["loss"].where(t.index % 10 > 2)),
    **{f"one row in {k}": functools.partial(thinned, k) for k in (2, 5, 20, 100, 400)},
    **{f"mean of {k}": functools.partial(rolling, k) for k in (20, 100, 500)},
    **{f"exponential mean, {a}": functools.partial(decaying, a) for a in (0.1, 0.01)},
    **{f"epochs of {k}": functools.partial(epochs, k) for k in (11, 50, 300)},
    "rounded": lambda t: t.assign(loss=t["loss"].round(4), norm=t["norm"].round(3)),
}

_WORDS = ("are missing", "may be missed", "a close call", "not a jump")


def cautious(found: Diagnosis) -> bool:
    """Something is said of a table that hides jumps, or of a close call."""
    told = any(word in note for note in found.notes for word in _WORDS)
    return told or found.label == "unknown"


def settings(runs: int) -> Iterator[dict[str, Any]]:
    """Random runs on digits: ten kinds of training in turn."""
    rng = np.random.default_rng(SEED)
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
    runs = parser.parse_args().runs
    changed: Counter[str] = Counter()
    silent: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    words = 0
    for kind in settings(runs):
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
