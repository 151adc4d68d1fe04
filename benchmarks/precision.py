"""Does rounding change the dynamics? The same runs in several precisions, step by step.

Two runs that differ in nothing but rounding part: training is chaotic. What matters is whether
their periods do. So beside the precisions there is a control, the float64 run again from weights
that are longer by one part in 10⁹: as far as two precisions differ no more than these two, rounding
has only picked another of the equally good trajectories.
Run: ``python benchmarks/precision.py`` (digits MLP; bfloat16 is emulated by the CPU, TF32 needs
``--device cuda``).
"""

import argparse
import json
import math
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from limitcycle.lab import Job, sweep
from limitcycle.reading import diagnose
from limitcycle.record import LoadedRun, Run, load

APART = 1e-3  # relative difference of the norms from which two trajectories have parted
NUDGE = 1 + 1e-9
REFERENCE = "float64"


def main() -> None:
    """Train, compare, print a table and JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--lr", type=float, nargs="+", default=[0.3, 1.0])
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument(
        "--batch-size", default=128, type=lambda text: None if text == "full" else int(text)
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int)
    options = parser.parse_args()
    results = []
    for lr in options.lr:
        base = Run(lr=lr, steps=options.steps, batch_size=options.batch_size)
        found = compare(base, options)
        print(table(base, found))
        results.append({"lr": lr, "steps": options.steps, "kinds": found})
    print(json.dumps(results))


def kinds(device: str) -> dict[str, tuple[dict[str, Any], str]]:
    """Name → what changes in the run, and the precision of its products."""
    both = {
        REFERENCE: ({"dtype": "float64"}, "highest"),
        "float64, nudged": ({"dtype": "float64", "init_scale": NUDGE}, "highest"),
        "float32": ({}, "highest"),
        "bfloat16 products": ({}, "bf16"),
    }
    return both | ({"TF32 products": ({}, "tf32")} if device.startswith("cuda") else {})


def compare(base: Run, options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """What became of each kind, over the seeds."""
    asked = kinds(options.device)
    with tempfile.TemporaryDirectory() as folder:
        for name, (changes, precision) in asked.items():
            jobs = [
                Job(replace(base, seed=seed, **changes), Path(folder) / name / str(seed))
                for seed in range(options.seeds)
            ]
            settings = {"device": options.device, "precision": precision}
            problems = [
                each.problem for each in sweep(jobs, workers=options.workers, settings=settings)
            ]
            assert not any(problems), problems
        runs = {
            name: [load(Path(folder) / name / str(seed)) for seed in range(options.seeds)]
            for name in asked
        }
        return {name: described(each, runs[REFERENCE]) for name, each in runs.items()}


def described(runs: list[LoadedRun], references: list[LoadedRun]) -> dict[str, Any]:
    """Where the runs part from the reference, and what they do, seed by seed."""
    verdicts = [diagnose(run.steps) for run in runs]
    return {
        "parted": [parted(*pair) for pair in zip(runs, references, strict=True)],
        "destabilisations": [len(verdict.events) for verdict in verdicts],
        "period": [float(verdict.period) for verdict in verdicts],
        "label": [verdict.label for verdict in verdicts],
        "final_loss": [float(run.steps["loss"].iloc[-1000:].median()) for run in runs],
    }


def parted(run: LoadedRun, reference: LoadedRun) -> int | None:
    """The first step at which the norms differ by more than `APART`; None: none."""
    mine, theirs = run.steps["norm"].to_numpy(), reference.steps["norm"].to_numpy()
    apart = np.flatnonzero(np.abs(mine / theirs - 1) > APART)
    return int(apart[0]) if len(apart) else None


def table(base: Run, found: dict[str, dict[str, Any]]) -> str:
    """The comparison in words and numbers: means over the seeds, and their spread."""
    lines = [
        f"lr {base.lr:g}, {base.steps:,} steps, {len(found[REFERENCE]['period'])} seeds",
        f"{'':20} {'parts at step':>14} {'destabilisations':>20} {'median period':>18}  verdicts",
    ]
    for name, each in found.items():
        steps = [step for step in each["parted"] if step is not None]
        at = f"{statistics.median(steps):,.0f}" if steps else "–"
        labels = ", ".join(sorted(set(each["label"])))
        counts, periods = spread(each["destabilisations"]), spread(each["period"])
        lines.append(f"{name:20} {at:>14} {counts:>20} {periods:>18}  {labels}")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Mean ± standard deviation over the seeds."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return "–"
    deviation = statistics.stdev(known) if len(known) > 1 else 0.0
    return f"{statistics.mean(known):,.1f} ± {deviation:,.1f}"


if __name__ == "__main__":
    main()
