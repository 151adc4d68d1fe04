"""Before hours of training: which runs are to be tried, and the page that says how it went.

Runs that differ in nothing but learning rate, weight decay, seed, length and how often they are
looked at compute the same things: of each such kind one is tried, at the highest learning rate.
"""

import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace

from limitcycle.lab import Rehearsal, machine
from limitcycle.lab.rehearsal import STEPS
from limitcycle.paper.plan import Plan
from limitcycle.paper.scale import Scale
from limitcycle.record import Run


@dataclass(frozen=True)
class Workload:
    """Runs that compute the same things.

    Attributes:
        run: the one that stands for them.
        names: figure and label of each.
    """

    run: Run
    names: tuple[str, ...]

    @property
    def title(self) -> str:
        """The first one's name, and how many there are."""
        others = len(self.names) - 1
        return self.names[0] + (f" and {others} like it" if others else "")


def workloads(plans: Sequence[Plan]) -> list[Workload]:
    """The kinds of runs of ``plans``, without those that start from others: alike in all this."""
    alike: dict[str, dict[str, tuple[str, Run]]] = {}
    for plan in plans:
        for label, runs in plan.runs.items():
            run = runs[0]
            named = alike.setdefault(_without_settings(run).identity, {})
            named.setdefault(run.identity, (f"figure {plan.figure.number}: {label}", run))
    found = []
    for named in alike.values():
        names, members = zip(*named.values(), strict=True)
        found.append(Workload(max(members, key=lambda run: run.lr), names))
    return found


def _without_settings(run: Run) -> Run:
    """``run`` with fixed values for all that its kind does not hang on."""
    return replace(
        run,
        lr=1.0,
        weight_decay=0.0,
        seed=0,
        steps=1,
        epochs=None,
        eval_every=None,
        snapshot_every=None,
    )


def passed(done: Rehearsal) -> bool:
    """Whether it went to its end with finite losses."""
    return not done.problem and all(map(math.isfinite, done.losses))


def outcome(done: Rehearsal) -> str:
    """How it went, in one line."""
    return done.problem or (
        f"loss {', '.join(f'{loss:.3g}' for loss in done.losses)}; "
        f"{done.step_seconds:.2f} s a step, {done.peak_mib:,.0f} MiB"
    )


def rehearsal_markdown(
    scale: Scale, tried: Sequence[tuple[Workload, Rehearsal]], device: str
) -> str:
    """The page of a rehearsal, a row a kind of run."""
    failed = sum(not passed(done) for _, done in tried)
    runs = sum(len(kind.names) for kind, _ in tried)
    lines = [
        f"# Rehearsal at {scale.name} scale\n",
        f"{STEPS} real steps of each kind of run at full width, on {device} "
        f"({platform.machine()}, {machine.cores()} cores), made by `limitcycle paper --all --scale "
        f"{scale.name} --rehearse`. {len(tried)} kinds stand for {runs} runs; {failed} failed.\n",
        "Memory is the largest of the process, the data included. Runs that start from others have "
        "the same nets and batches and are left out.\n",
        "| run | like it | loss of three batches, nats | a step, s | memory, MiB |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(_row(kind, done) for kind, done in tried)]) + "\n"


def _row(kind: Workload, done: Rehearsal) -> str:
    name, others = kind.names[0], len(kind.names) - 1
    if done.problem:
        return f"| {name} | {others} | FAILED: {done.problem} | – | – |"
    losses = ", ".join(f"{loss:.3g}" for loss in done.losses)
    return f"| {name} | {others} | {losses} | {done.step_seconds:.2f} | {done.peak_mib:,.0f} |"
