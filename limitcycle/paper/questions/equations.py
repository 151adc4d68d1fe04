"""Equations (2a), (2b), (3) and (8) measured on runs.

They are exact for a scale-invariant loss; what a run deviates is what normalisation with eps > 0
and rounding leave.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from limitcycle.paper.claim import Finding, holds_if, undecided
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.questions.phases import Histories
from limitcycle.paper.questions.reading import exponent, power_law, share
from limitcycle.paper.questions.rescaled import ASKED, scaled_gradients
from limitcycle.reading.clock import Array
from limitcycle.reading.history import History
from limitcycle.theory import (
    cosine_distance,
    next_squared_norm,
)

Check = Callable[[Evidence], Finding]

OF_A_STEP = 0.10  # deviation from (3) that counts, in units of what weight decay takes in a step
OF_A_VECTOR = 0.01  # deviations from (2a), (2b) and (8) that count, relative
SELDOM = 0.01  # share of steps that may deviate more
BINS = 20
_EPS = "eps in the normalisation's denominators, which leaves the gradient a radial part"
SLOPE = (-2.5, -1.5)  # of the radial cosine over ρ, around the −2 of eps
FLAT = 0.1  # of its control, around 0


@dataclass(frozen=True)
class Steps:
    """What the step table says of each update that is followed by the next one, shape (n,)."""

    norm: Array
    next_norm: Array
    gradient: Array
    radial: Array
    distance: Array


def steps_of(history: History) -> Steps | None:
    """The history's consecutive steps; None where gradients were not recorded."""
    table = history.source.steps
    if not {"grad_norm", "radial", "cosine_distance"} <= set(table.columns):
        return None
    step = table["step"].to_numpy()
    values = {name: table[name].to_numpy(float) for name in ("norm", "grad_norm", "radial")}
    distance = table["cosine_distance"].to_numpy(float)
    whole = np.isfinite(np.sum(list(values.values()), axis=0)) & np.isfinite(distance)
    kept = np.flatnonzero((np.diff(step) == 1) & whole[:-1] & whole[1:] & (distance[:-1] > 0))
    norm = values["norm"]
    return Steps(
        norm[kept],
        norm[kept + 1],
        values["grad_norm"][kept],
        values["radial"][kept],
        distance[kept],
    )


def norm_deviation(history: History, steps: Steps, *, radial: bool) -> Array:
    """|ρ²_{t+1} − Eq. (3)| in units of 2ηλρ², with or without the radial term, shape (n,)."""
    leak = steps.radial if radial else 0.0
    said = next_squared_norm(steps.norm, steps.gradient, history.lr, history.weight_decay, leak)
    unit = 2 * history.lr * history.weight_decay * steps.norm**2
    return np.asarray(np.abs(steps.next_norm**2 - said) / unit)


def radial_cosine(steps: Steps) -> Array:
    """|⟨x, ∇f⟩|/(‖x‖·‖∇f‖), zero by Eq. (2a), shape (n,)."""
    return np.abs(steps.radial) / np.maximum(steps.norm * steps.gradient, 1e-300)


def distance_deviation(history: History, steps: Steps) -> Array:
    """|measured 1 − cos over that of Eq. (8) − 1|, shape (n,)."""
    effective = steps.norm * steps.gradient
    said = cosine_distance(steps.norm, effective, history.lr, history.weight_decay)
    return np.asarray(np.abs(steps.distance / np.maximum(said, 1e-300) - 1))


def equation(
    of: Histories,
    measure: Callable[[History, Steps], Array],
    limit: float,
    *,
    cause: Callable[[Array, Array], str] = lambda _norm, _off: "",
) -> Check:
    """At most one step in a hundred deviates by more than ``limit``.

    ``cause``: norms and deviations → why, measured; without it eps is only suspected.
    """

    def check(evidence: Evidence) -> Finding:
        found = [(t, s) for t in of(evidence) if (s := steps_of(t)) is not None and len(s.norm)]
        if not found:
            return undecided("gradients of single steps were not recorded")
        off = np.concatenate([measure(history, steps) for history, steps in found])
        norm = np.concatenate([steps.norm for _, steps in found])
        worst = int(np.argmax(off))
        return holds_if(
            share(off > limit) <= SELDOM,
            "",
            ours={
                "deviation of 99 % of the steps, at most": float(np.quantile(off, 0.99)),
                "largest": float(off[worst]),
                "at ρ": float(norm[worst]),
                "median ρ": float(np.median(norm)),
            },
            likely=_EPS,
            cause=cause(norm, off),
            largest=float(off[worst]),
            quantile=float(np.quantile(off, 0.99)),
        )

    return check


def goes_like_eps(norm: Array, off: Array) -> str:
    """Whether the deviations go with the norm like those that eps leaves, ∝ 1/ρ²."""
    law = power_law(*_binned(norm, off, least=2))
    if not np.isfinite(law.exponent):
        return ""
    measured = f"deviations ∝ ρ^{law}"
    if SLOPE[0] <= law.exponent <= SLOPE[1] and law.high < 0:
        return f"eps in the normalisation's denominators: {measured}"
    return f"not known; {measured}, where eps in BatchNorm would make them ∝ ρ^−2"


def eps_is_the_cause(of: Histories) -> Check:
    """Where the weights are scaled over a decade the radial cosine falls like 1/ρ², as eps must.

    With c²·eps, the control, it does not change at all.
    """

    def check(evidence: Evidence) -> Finding:
        found = [each for history in of(evidence) for each in scaled_gradients(history.source)]
        if not found:
            return undecided("no snapshots of the weights were kept")
        power = _power([(each.norm, each.factor, each.radial) for each in found])
        control = _power([(each.norm, each.factor, each.radial_with_eps) for each in found])
        if not np.isfinite(power):
            return undecided("the radial part is zero")
        return holds_if(
            SLOPE[0] <= power <= SLOPE[1] and abs(control) <= FLAT,
            "",
            ours={"exponent of the radial cosine over ρ": power, "with c²·eps": control},
            exponent=power,
            control=control,
        )

    return check


def _power(cases: list[tuple[float, float, float]]) -> float:
    """The median over snapshots of e in value ∝ c^e; NaN where values are zero."""
    found = []
    for norm in {norm for norm, _, _ in cases}:
        pairs = [(c, value) for rho, c, value in cases if rho == norm]
        found.append(exponent([c for c, _ in pairs], [value for _, value in pairs]))
    finite = [each for each in found if np.isfinite(each)]
    return float(np.median(finite)) if finite else float("nan")


def _binned(x: Array, y: Array, least: int = 10) -> tuple[list[float], list[float]]:
    """Medians of y in classes of log x of equal width that hold ``least`` values or more."""
    edges = np.geomspace(x.min(), x.max() * (1 + 1e-9), BINS + 1)
    which = np.digitize(x, edges) - 1
    filled = [at for at in range(BINS) if (which == at).sum() >= least]
    return (
        [float(np.median(x[which == at])) for at in filled],
        [float(np.median(y[which == at])) for at in filled],
    )


def rescaling(of: Histories) -> Check:
    """∇f(c·x) = ∇f(x)/c on the run's snapshots, for c = 1/2 and 2 with c²·eps (Eq. 2b).

    With eps as it is the same is measured beside it: what eps breaks is no fault of the equation.
    """

    def check(evidence: Evidence) -> Finding:
        found = [
            each
            for history in of(evidence)
            for each in scaled_gradients(history.source)
            if each.factor in ASKED
        ]
        if not found:
            return undecided("no snapshots of the weights were kept")
        off = max(each.off_with_eps for each in found)
        return holds_if(
            off <= OF_A_VECTOR,
            "",
            ours={
                "largest deviation with c²·eps": off,
                "with eps as it is": max(each.off for each in found),
                "at ρ": max(found, key=lambda each: each.off).norm,
            },
            likely="the net is not scale-invariant",
            largest=off,
        )

    return check
