"""Does the advice help? The demonstration's periodic and stuck runs, with and without it.

Every run is trained as it is. Its record is then looked at every 500 steps, as a watcher would,
until the advice is about jumps or about being stuck. From the weights of that moment the run goes
on once in every way of `WAYS`, in a folder beside it; SGD without momentum has no other state. All
of these and the run itself are judged by what came after that moment.

Jumps are counted twice. `diagnose` asks for a turn of the norm, and a held norm does not turn: its
count is 0 whatever the loss does. So spikes of the loss are counted, too, by a rule that knows
nothing of the norm: its mean over an epoch rises above 0.1 after having been below 0.01.

    python benchmarks/advice.py --out runs/advice        # three seeds
    python benchmarks/advice.py --seeds 0 --runs "lr 1"  # a look

A command that was interrupted goes on. It writes advice.json and advice.md into --out.
"""

import argparse
import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from limitcycle.errors import RunError
from limitcycle.lab import Job, demo_jobs, sweep
from limitcycle.reading import Advice, diagnose
from limitcycle.reading.history import running_mean
from limitcycle.record import LoadedRun, Run, load

RUNS = ("full-batch lr 1", "lr 0.3", "lr 1", "lr 100")
LOOK_EVERY = 500
LOW, HIGH = 0.01, 0.1  # nats
LATE = 0.1  # share of the judged stretch over which "final" is taken
AS_IT_WAS = "as it was"

Settings = dict[str, Any]


class Outcome(NamedTuple):
    """What became of a run after the moment of the advice; errors are fractions, the loss nats."""

    run: str
    seed: int
    way: str
    told_at: int
    told: str
    label: str
    steps_said: float | None
    steps_in_fact: float | None
    jumps: int
    spikes: int
    best_error: float
    final_error: float
    worst_error: float
    final_loss: float


def main() -> None:
    """Train, judge, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=RUNS)
    parser.add_argument("--out", type=Path, default=Path("runs/advice"))
    parser.add_argument("--workers", type=int, help="processes; as many as cores if left out")
    options = parser.parse_args()
    outcomes = compare(options.out, options.seeds, options.runs, workers=options.workers)
    shown = table(outcomes)
    print(shown)
    rows = [outcome._asdict() for outcome in outcomes]
    (options.out / "advice.json").write_text(json.dumps(rows, indent=1) + "\n")
    (options.out / "advice.md").write_text(shown + "\n")


def compare(
    out: Path, seeds: Sequence[int], names: Sequence[str] = RUNS, *, workers: int | None = None
) -> list[Outcome]:
    """Train the runs called ``names`` below ``out`` with every seed, go on from them, judge."""
    bases = [
        Job(dataclasses.replace(job.run, snapshot_every=LOOK_EVERY), job.out / AS_IT_WAS)
        for seed in seeds
        for job in demo_jobs(out / f"seed {seed}", seed)
        if job.out.name in names
    ]
    _train(bases, workers)
    moments = [first_advice(load(job.out).steps) for job in bases]
    branches = [
        continuations(job, step, advice) for job, (step, advice) in zip(bases, moments, strict=True)
    ]
    _train([job for each in branches for job in each], workers)
    return [
        judge(load(base.out), step, advice, job)
        for base, (step, advice), each in zip(bases, moments, branches, strict=True)
        for job in (base, *each)
    ]


def _train(jobs: Sequence[Job], workers: int | None) -> None:
    for job, outcome in zip(jobs, sweep(jobs, workers=workers), strict=True):
        if outcome.state != "done":
            raise RunError(f"{job.out}: {outcome.state} {outcome.problem}")


def first_advice(steps: pd.DataFrame, every: int = LOOK_EVERY) -> tuple[int, Advice]:
    """Updates made when the advice is first about jumps or about being stuck, and what it is."""
    for step in range(every, len(steps), every):
        seen = steps[steps["step"] < step]
        advice = diagnose(seen).advice
        if advice.kind in WAYS:
            return step, advice
    raise RunError("the advice was never about jumps or about being stuck")


def halved(run: Run, _: Advice) -> Settings:
    """Half the weight decay."""
    return {"weight_decay": run.weight_decay / 2}


def held(_run: Run, _: Advice) -> Settings:
    """The norm of this moment, for good."""
    return {"fixed_norm": "start"}


def held_and_calm(run: Run, advice: Advice) -> Settings:
    """The norm of this moment, at the lowest effective learning rate since the last jump."""
    return {"fixed_norm": "start", "lr": run.lr / advice.growth}


def slower(run: Run, _: Advice) -> Settings:
    """A hundredth of the learning rate."""
    return {"lr": run.lr / 100}


def hardly_decayed(run: Run, _: Advice) -> Settings:
    """A hundredth of the weight decay."""
    return {"weight_decay": run.weight_decay / 100}


def slower_and_held(run: Run, _: Advice) -> Settings:
    """A hundredth of the learning rate, and the norm of this moment."""
    return {"fixed_norm": "start", "lr": run.lr / 100}


_JUMPING = {
    "weight decay ÷ 2": halved,
    "norm held": held,
    "norm held, learning rate ÷ growth": held_and_calm,
}
# What can be done, by the kind of the advice.
WAYS: Mapping[str, Mapping[str, Callable[[Run, Advice], Settings]]] = {
    "approaching": _JUMPING,
    "periodic": _JUMPING,
    "stuck": {
        "learning rate ÷ 100": slower,
        "weight decay ÷ 100": hardly_decayed,
        "norm held, learning rate ÷ 100": slower_and_held,
    },
}


def continuations(base: Job, step: int, advice: Advice) -> list[Job]:
    """``base`` from its weights after ``step`` updates on, once for every way the advice names."""
    (start,) = (path for path in load(base.out).snapshots if f"{step - 1:012d}" in path.name)
    assert base.run.steps is not None
    rest = {"start_from": str(start), "steps": base.run.steps - step, "snapshot_every": None}
    return [
        Job(
            dataclasses.replace(base.run, **rest, **change(base.run, advice)),
            base.out.parent / name,
        )
        for name, change in WAYS[advice.kind].items()
    ]


def judge(base: LoadedRun, step: int, advice: Advice, job: Job) -> Outcome:
    """What the run of ``job`` did from ``step`` on; before that it was ``base``."""
    mine = load(job.out)
    steps, epochs = _stretch(base, mine, "steps", step), _stretch(base, mine, "epochs", step)
    after = steps[steps["step"] >= step]
    verdict = diagnose(steps)
    starts = verdict.events["start"].to_numpy()
    coming = starts[starts >= step]
    said = diagnose(base.steps[base.steps["step"] < step]).forecast.median
    error = epochs.loc[epochs["step"] > step, "test_error"].dropna().to_numpy()
    return Outcome(
        run=job.out.parent.name,
        seed=base.description.seed,
        way=job.out.name,
        told_at=step,
        told=advice.text,
        label=verdict.label,
        steps_said=None if np.isnan(said) else round(said, 1),
        steps_in_fact=float(coming[0] - step) if len(coming) else None,
        jumps=len(coming),
        spikes=spikes(running_mean(after["loss"].to_numpy(float), _epoch(base))),
        best_error=float(error.min()),
        final_error=float(error[-max(int(LATE * len(error)), 1) :].mean()),
        worst_error=float(error[len(error) // 2 :].max()),
        final_loss=float(after["loss"].tail(max(int(LATE * len(after)), 1)).median()),
    )


def _stretch(base: LoadedRun, mine: LoadedRun, name: str, step: int) -> pd.DataFrame:
    """A table of ``base`` up to ``step``, then of ``mine``, in the steps of ``base``."""
    before, after = (getattr(run, name).drop(columns="epoch") for run in (base, mine))
    if mine.path == base.path:
        return before
    shifted = after.assign(step=after["step"] + step)
    return pd.concat([before[before["step"] < step], shifted], ignore_index=True)


def _epoch(run: LoadedRun) -> int:
    return 1 if run.description.batch_size is None else int(run.info["epoch_steps"])


def spikes(loss: NDArray[np.float64]) -> int:
    """How often the loss rises above `HIGH` after having been below `LOW`."""
    calm, found = False, 0
    for value in loss:
        if value < LOW:
            calm = True
        elif value > HIGH and calm:
            calm, found = False, found + 1
    return found


def table(outcomes: Iterable[Outcome]) -> str:
    """Markdown: a row a run and way; seeds side by side in counts, their median elsewhere."""
    head = ("run", "way", "told at step", "jumps", "loss spikes", "best test error", "final",
            "worst of the last half", "final training loss")  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    together: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        together.setdefault((outcome.run, outcome.way), []).append(outcome)
    together = dict(sorted(together.items(), key=lambda item: RUNS.index(item[0][0])))
    for (run, way), seeds in together.items():
        counts = (", ".join(str(getattr(one, name)) for one in seeds) for name in COUNTS)
        errors = (f"{_median(seeds, name):.1%}" for name in ERRORS)
        cells = (run, way, *counts, *errors, f"{_median(seeds, 'final_loss'):.2g}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", _forecasts(together)])


def _forecasts(together: Mapping[tuple[str, str], Sequence[Outcome]]) -> str:
    """Of the runs as they were: steps to the next jump as the advice said, and as they were."""
    lines = [
        f"{run}: " + ", ".join(f"{one.steps_said:,.0f} → {one.steps_in_fact:,.0f}" for one in told)
        for (run, way), seeds in together.items()
        if way == AS_IT_WAS
        and (told := [one for one in seeds if one.steps_said is not None and one.steps_in_fact])
    ]
    return "Steps to the next jump, said → in fact. " + "; ".join(lines) + "."


COUNTS = ("told_at", "jumps", "spikes")
ERRORS = ("best_error", "final_error", "worst_error")


def _median(outcomes: Sequence[Outcome], name: str) -> float:
    return float(np.median([getattr(outcome, name) for outcome in outcomes]))


if __name__ == "__main__":
    main()
