"""Figure 15: grids of learning rates for the other three pairs of network and data."""

import numpy as np

from limitcycle.paper.claim import Claim, Finding, holds_if
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import Experiment, Runs
from limitcycle.paper.questions.grids import Grid, GridOf, claims_of, rows
from limitcycle.paper.questions.reading import unbroken
from limitcycle.paper.scale import Pair, Scale
from limitcycle.reading.history import History
from limitcycle.record import Run
from limitcycle.report.figure import Figure

PAIRS: tuple[Pair, ...] = ("convnet-cifar100", "resnet18-cifar10", "resnet18-cifar100")
RATES = {  # largest first; at paper scale all of the paper's
    "quick": (10.0, 1.0, 0.3, 0.1, 0.003),
    "laptop": (3.0, 1.0, 0.3, 0.1, 0.01),
}
SHOWN = {  # largest first; all of them where none are named
    "quick": (10.0, 0.3, 0.1, 0.003),
    "paper": (1.0, 0.03, 0.01, 0.001),
}


def runs(scale: Scale) -> Runs:
    """Every pair at every rate."""
    return {label(pair, lr): grid_run(scale, pair, lr) for pair in PAIRS for lr in rates(scale)}


def rates(scale: Scale) -> tuple[float, ...]:
    """The learning rates of the grids at ``scale``."""
    return RATES.get(scale.name, scale.lrs)


def grid_run(scale: Scale, pair: Pair, lr: float) -> Run:
    """One cell, shared with Figure 2 where the twin is the same, and with 5 and 18."""
    if scale.worlds[pair] == scale.worlds["convnet-cifar10"]:
        return scale.shared(lr)
    if lr == scale.fast_lr:
        return scale.run(pair, lr=lr, snapshot_every=scale.worlds[pair].steps // 100)
    return scale.run(pair, lr=lr)


def label(pair: Pair, lr: float) -> str:
    """A cell of the grids as a label."""
    return f"{pair}, η = {lr:g}"


def grid(pair: Pair) -> GridOf:
    """A pair's learning rates as a grid."""
    return lambda scale: Grid("η", {lr: label(pair, lr) for lr in rates(scale)})


def draw(evidence: Evidence) -> list[Figure]:
    """A row a pair: the paper's four panels at representative rates."""
    scale = evidence.scale
    shown = SHOWN.get(scale.name, rates(scale))
    return rows(evidence, {pair: grid(pair)(scale) for pair in PAIRS}, shown)


def noisy_phase_a(evidence: Evidence) -> Finding:
    """ResNet-18 on CIFAR-10 at the fast rate: phase A is longer and noisier, and ends."""
    scale = evidence.scale
    (fast,), (slow,) = (
        unbroken(evidence[label("resnet18-cifar10", lr)]) for lr in (scale.fast_lr, scale.lr)
    )
    long = [share_of_a(history) for history in (fast, slow)]
    noisy = [scatter_in_a(history) for history in (fast, slow)]
    ends = _reaches_b(fast)
    return holds_if(
        long[0] > long[1] and noisy[0] > noisy[1] and ends,
        "phase B follows" if ends else "no phase B follows",
        ours={
            "phase A's share of the run": long[0],
            "at the slower rate": long[1],
            "scatter of log loss there": noisy[0],
            "scatter at the slower rate": noisy[1],
        },
    )


def share_of_a(history: History) -> float:
    """The share of the run's steps that it spends in phase A."""
    return sum(end - start for start, end in _phase_a(history)) / float(history.clock.steps[-1])


def scatter_in_a(history: History) -> float:
    """Standard deviation, in phase A, of log loss about its mean over an epoch."""
    spans = [slice(*history.rows_of(span)) for span in _phase_a(history)]
    away = [np.log(history.columns["loss"][at] / history.means["loss"][at]) for at in spans]
    return float(np.nanstd(np.concatenate([np.empty(0), *away])))


def _phase_a(history: History) -> list[tuple[float, float]]:
    """First and last step of every phase A; before any jump, the way to the norm's maximum."""
    phases = history.diagnosis.phases
    if len(phases):
        a = phases[phases["phase"] == "A"]
        return list(zip(a["start"].astype(float), a["end"].astype(float), strict=True))
    top = int(np.nanargmax(history.columns["norm"]))
    return [(float(history.clock.steps[0]), float(history.clock.steps[top]))]


def _reaches_b(history: History) -> bool:
    """Whether a phase B was seen, or the norm has at least come down by 5 % from its maximum."""
    norm = history.columns["norm"]
    return bool(
        (history.diagnosis.phases["phase"] == "B").any() or norm[-1] < 0.95 * np.nanmax(norm)
    )


_SOURCE = "Appendix E.2"


def _claims(pair: Pair) -> tuple[Claim, ...]:
    return claims_of(pair, grid(pair), "lr", "learning rate", _SOURCE)


FIGURE = Experiment(
    number=15,
    title="Learning rates for other networks and data",
    question="Is there a band of learning rates with periods for a wider ConvNet on CIFAR-100 and "
    "for ResNet-18 on CIFAR-10 and CIFAR-100, too?",
    runs=runs,
    draw=draw,
    choices=(
        "at quick and laptop scale five of the eight rates: the ends of the grid tell where the "
        "band stops, three between them what it is like; all eight are run at paper scale",
        "which rates are drawn: at paper scale those of Figure 2, at quick scale four of five",
        "at quick scale the twins of both ConvNets, and of both ResNets, are the same runs; those "
        "of the ConvNet are judged with Figure 2",
        "thin lines: the other seeds",
    ),
    claims=(
        *(claim for pair in PAIRS for claim in _claims(pair)),
        Claim(
            "noisy-phase-a",
            "ResNet-18 on CIFAR-10 at the faster rate has a long and noisy phase A, which still "
            "ends in phase B.",
            "Appendix E.2",
            "phase A takes no larger share of the run than at the slower rate, or its loss "
            "scatters no more about its mean over an epoch, or no phase B follows",
            noisy_phase_a,
            colour_images=True,
        ),
    ),
    elsewhere=("convnet-cifar10",),
)
