"""How well does `diagnose` find the jumps? Precision and recall on runs that nobody has tuned on.

The judge is another quantity: the cosine distance between neighbouring iterates, whose large values
the paper calls δ-jumps (Definition 1). It knows neither the loss nor the recorded norm.

The constants of `limitcycle.reading.constants` were frozen before the seeds below were first used.
Seeds 101 to 106 judged earlier definitions of a jump.

    python benchmarks/detection.py            # twenty fresh runs on digits, about five minutes
    python benchmarks/detection.py --seeds 0  # the same settings with a seed that was tuned on
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from limitcycle.lab import train
from limitcycle.reading import Diagnosis, diagnose
from limitcycle.record import Run

SETTINGS = (
    {"lr": 0.1, "steps": 30_000},
    {"lr": 0.3, "steps": 30_000},
    {"lr": 0.3, "steps": 20_000, "weight_decay": 0.003},
    {"lr": 1.0, "steps": 20_000},
    {"lr": 3.0, "steps": 10_000},
    {"lr": 10.0, "steps": 5_000},
    {"lr": 1.0, "steps": 10_000, "batch_size": None},
    {"lr": 0.1, "steps": 20_000, "momentum": 0.9},
    {"lr": 0.03, "steps": 10_000},
    {"lr": 100.0, "steps": 5_000},
)
FRESH_SEEDS = (107, 108)

GROWTH = 3.0
"""A step belongs to a burst if its rotation adds this many times more to log ρ than weight decay
takes. Without momentum it adds its cosine distance (Eq. 3), and weight decay takes ηλ. With
momentum µ neighbouring steps have correlation µ, so that they add (1 + µ)/(1 − µ) times as much,
and weight decay takes ηλ/(1 − µ)."""

GAP = 0.02
"""Bursts closer than this many times 1/(ηλ) are one."""

TURNED = 0.05
"""What a burst must add to log ρ to be called a destabilisation."""

CONTRAST = 15.0
"""... and its largest rotation over the median since the burst before: there has to be a calm."""


class Score(NamedTuple):
    """Jumps found, jumps marked by the cosine distance, pairs of the two that overlap."""

    found: int
    marked: int
    matched: int


def bursts(growth: NDArray[np.float64], decay: float) -> list[tuple[int, int]]:
    """First and last step of each burst of ``growth``, the first descent left out."""
    high = np.flatnonzero(growth > GROWTH * decay)
    pieces = np.split(high, np.flatnonzero(np.diff(high) > max(GAP / decay, 1)) + 1)
    marked, before = [], 0
    for piece in pieces:
        if not piece.size:
            continue
        first, last = int(piece[0]), int(piece[-1])
        calm = float(np.median(growth[before:first])) if first > before else np.inf
        strong = growth[first : last + 1]
        if strong.sum() >= TURNED and strong.max() >= CONTRAST * calm and first > GAP / decay:
            marked.append((first, last))
        before = last + 1
    return marked


def score(
    steps: pd.DataFrame, verdict: Diagnosis, lr: float, weight_decay: float, momentum: float = 0.0
) -> Score:
    """Match the verdict's jumps one to one with the bursts that they overlap."""
    growth = steps["cosine_distance"].to_numpy(np.float64) * (1 + momentum) / (1 - momentum)
    decay = lr * weight_decay / (1 - momentum)
    marked = bursts(growth, decay)
    margin = max(GAP / decay, 1)
    left, matched = list(marked), 0
    for start, turn, top in verdict.events[["start", "turn", "top"]].itertuples(index=False):
        begin = min(start, turn)
        hit = [b for b in left if b[0] <= top + margin and b[1] >= begin - margin]
        if hit:
            left.remove(hit[0])
            matched += 1
    return Score(len(verdict.events), len(marked), matched)


def main() -> None:
    """Train, judge, print a line a run and the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=FRESH_SEEDS)
    seeds = parser.parse_args().seeds
    scores = []
    print(f"{'setting':48} {'seed':>4}  {'label':11} {'found':>5} {'marked':>6} {'matched':>7}")
    for settings in SETTINGS:
        for seed in seeds:
            run = Run(**settings, seed=seed)  # type: ignore[arg-type]
            with tempfile.TemporaryDirectory() as folder:
                steps = train(run, Path(folder) / "run", threads=1).steps
            verdict = diagnose(steps)
            scores.append(score(steps, verdict, run.lr, run.weight_decay, run.momentum))
            name = ", ".join(f"{key} {value}" for key, value in settings.items())
            found, marked, matched = scores[-1]
            print(
                f"{name:48} {seed:4}  {verdict.label:11} {found:5} {marked:6} {matched:7}",
                flush=True,
            )
    report("all runs", scores)
    report("without learning rate 10, which has most", scores_without(10.0, scores, seeds))


def scores_without(lr: float, scores: list[Score], seeds: Sequence[int]) -> list[Score]:
    """The scores of the other settings, in the order in which `main` runs them."""
    rates = [settings["lr"] for settings in SETTINGS for _ in seeds]
    return [one for one, rate in zip(scores, rates, strict=True) if rate != lr]


def report(name: str, scores: list[Score]) -> None:
    """Precision and recall over all jumps of ``scores``."""
    found, marked, matched = map(sum, zip(*scores, strict=True))
    print(
        f"{name} ({len(scores)}): precision {matched}/{found} = {matched / max(found, 1):.3f}, "
        f"recall {matched}/{marked} = {matched / max(marked, 1):.3f}"
    )


if __name__ == "__main__":
    main()
