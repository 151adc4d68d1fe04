"""Proposition 4 on real runs: x₀, η, λ → c·x₀, c²η, λ/c² changes nothing but the norm.

In a network it also takes BN's eps → c²·eps, since eps is added to variances, which grow with c².
With c a power of two every float of the second run is the first one's with another exponent.
"""

from typing import Any

import numpy as np

from limitcycle.paper.claim import Claim, Finding, holds_if, undecided
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import Runs
from limitcycle.paper.questions.reading import unbroken
from limitcycle.paper.scale import Scale
from limitcycle.reading.history import History
from limitcycle.record import Run

C = 2
STEPS = 1_000
MOMENTUM = 0.9
OPTIMISERS: dict[str, dict[str, Any]] = {"SGD": {}, "momentum": {"momentum": MOMENTUM}}
APART = 0.01  # relative difference of the losses at which two runs count as parted


def runs(scale: Scale) -> Runs:
    """Each optimiser as it is and rescaled, and SGD rescaled without its eps."""
    found = {}
    for name, settings in OPTIMISERS.items():
        plain = _run(scale, **settings)
        found[name] = plain
        found[rescaled(name)] = _rescaled(scale, norm_eps=C**2 * plain.norm_eps, **settings)
    return {**found, EPS_ALONE: _rescaled(scale)}


def _run(scale: Scale, **changes: Any) -> Run:
    return scale.run("convnet-cifar10", steps=STEPS, **changes)


def _rescaled(scale: Scale, **changes: Any) -> Run:
    lr, decay = C**2 * scale.lr, scale.weight_decay / C**2
    return _run(scale, init_scale=C, lr=lr, weight_decay=decay, **changes)


def rescaled(name: str) -> str:
    """The label of the rescaled run."""
    return f"{name}, c = {C}"


EPS_ALONE = f"SGD, c = {C}, eps as it is"


def bitwise_equal(evidence: Evidence) -> Finding:
    """Loss and cosine distance equal bit by bit, and the norm exactly c times, for both."""
    differing = {
        name: max(map(_differing_rows, evidence[name], evidence[rescaled(name)]))
        for name in OPTIMISERS
    }
    rows = min(len(history.source.steps) for name in OPTIMISERS for history in evidence[name])
    if not any(differing.values()) and rows < STEPS:
        return undecided(f"the shortest run has {rows:,} rows of {STEPS:,}")
    words = ", ".join(f"{name} {count:,}" for name, count in differing.items())
    return holds_if(
        not any(differing.values()),
        f"of {rows:,} rows differ: {words}",
        likely="a kernel that is not exact in powers of two, or another order of summation",
        differing=differing,
    )


def eps_parts(evidence: Evidence) -> Finding:
    """With eps left alone the losses part by 1 % within the thousand steps."""
    pairs = zip(unbroken(evidence["SGD"]), unbroken(evidence[EPS_ALONE]), strict=True)
    parted = [parting(one, other) for one, other in pairs]
    words = ", ".join("never" if step is None else f"{step:,}" for step in parted)
    return holds_if(
        sum(step is not None for step in parted) > len(parted) / 2,
        f"losses differ by {APART:.0%} from step {words}",
        steps=parted,
    )


def parting(one: History, other: History) -> int | None:
    """The first step at which the losses differ by 1 %; None where they never do."""
    ours, theirs = one.columns["loss"], other.columns["loss"]
    apart = np.flatnonzero(~(np.abs(theirs / ours - 1) <= APART))
    return int(one.clock.steps[apart[0]]) if len(apart) else None


def _differing_rows(one: History, other: History) -> int:
    """How many rows of the step tables are not what Proposition 4 says, bit by bit."""
    ours, theirs = one.source.steps, other.source.steps
    if len(ours) != len(theirs):
        return max(len(ours), len(theirs))
    different = ours["norm"].to_numpy() * C != theirs["norm"].to_numpy()
    for name in ("loss", "cosine_distance"):
        a, b = ours[name].to_numpy(), theirs[name].to_numpy()
        different |= (a != b) & ~(np.isnan(a) & np.isnan(b))
    return int(different.sum())


CLAIMS = (
    Claim(
        "rescaling-bitwise",
        "Multiplying the initial weights by c, the learning rate by c² and dividing the weight "
        "decay by c² leaves training unchanged but for the norm, which is c times as large: with "
        "SGD, and with momentum.",
        "Appendix A.1, Proposition 4; for momentum and BN's eps, scaled by c², beyond the paper",
        f"one row of {STEPS:,} whose loss or cosine distance is not equal bit by bit "
        f"for c = {C}, or whose norm is not exactly {C} times as large",
        bitwise_equal,
    ),
    Claim(
        "rescaling-eps",
        "Proposition 4 holds for a network only if eps of BatchNorm is rescaled, too: left alone, "
        "it makes the runs part.",
        "beyond the paper, which takes BatchNorm for exactly scale-invariant",
        f"the losses never differ by {APART:.0%} in {STEPS:,} steps",
        eps_parts,
    ),
)
