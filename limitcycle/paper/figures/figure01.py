"""Figure 1: the practical networks, all of their weights trained, at several learning rates."""

from dataclasses import replace

import numpy as np

from limitcycle.paper.claim import Claim, Finding, holds_if
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import Experiment, Runs
from limitcycle.paper.questions.everywhere import everywhere
from limitcycle.paper.questions.practical import TRAINED, WITH_CONFIDENCE
from limitcycle.paper.questions.reading import listed, period_units, periodic, share
from limitcycle.paper.scale import PAIR_TITLES, Pair, Scale
from limitcycle.report.figure import Figure
from limitcycle.report.panels import panels_of

PAIRS: tuple[Pair, ...] = ("convnet-cifar10-wide", "resnet18-cifar100")
RATES = {"quick": (1.0, 0.3, 0.1), "laptop": (1.0, 0.3, 0.1), "paper": (0.1, 0.03, 0.01)}
SHOWN = ("loss", "test_error", "norm")


def runs(scale: Scale) -> Runs:
    """Both pairs at every rate; one run is Figure 6's, which also logs confidence."""
    settings = {**WITH_CONFIDENCE[scale.name], **TRAINED}
    return {
        label(pair, lr): scale.run(pair, lr=lr, **settings)
        for pair in PAIRS
        for lr in RATES[scale.name]
    }


def label(pair: Pair, lr: float) -> str:
    """A run as a label."""
    return f"{pair}, η = {lr:g}"


def draw(evidence: Evidence) -> list[Figure]:
    """A row a network: training loss, test error, norm."""
    scale = evidence.scale
    rows = []
    for pair in PAIRS:
        found = {lr: evidence.first(label(pair, lr)) for lr in RATES[scale.name]}
        histories = [replace(history, label=f"η = {lr:g}") for lr, history in found.items()]
        rows.append(panels_of(histories, SHOWN, "epochs", scale.title(pair)))
    return rows


def has_periods(pair: Pair) -> Claim:
    """The claim that there are periods although all weights are trained."""

    def check(evidence: Evidence) -> Finding:
        found = {lr: evidence[label(pair, lr)] for lr in RATES[evidence.scale.name]}
        units = [period_units(history) for histories in found.values() for history in histories]
        words = [
            f"{sum(map(periodic, histories))} of {len(histories)} seeds at η = {lr:g}"
            for lr, histories in found.items()
        ]
        return holds_if(
            any(share(map(periodic, histories)) > 0.5 for histories in found.values()),
            f"periodic: {', '.join(words)}; period × ηλ: {listed(filter(np.isfinite, units))}",
            period_units=units,
        )

    return Claim(
        f"all-trained-{pair}",
        f"{PAIR_TITLES[pair]}: periods are there when all weights are trained, too.",
        "Figure 1, Section 6",
        "no rate at which most seeds are periodic",
        check,
        colour_images=True,
    )


FIGURE = Experiment(
    number=1,
    title="Periods of ordinary networks, all weights trained",
    question="Do networks as they are used, with learnable BatchNorm parameters and a trained "
    "head, have periods?",
    runs=runs,
    draw=draw,
    choices=(
        "learning rates: the two main ones of Figure 2 and the next higher: the paper's picture "
        "does not name them in its text",
        "width of the ConvNet: 64 at paper scale, as for all experiments with trained heads",
        "the norm drawn is that of the scale-invariant weights alone",
    ),
    claims=(
        everywhere(
            "all-trained",
            "Periods are there when all weights are trained, too.",
            "Figure 1, Section 6",
            has_periods,
            PAIRS,
        ),
        *map(has_periods, PAIRS),
    ),
)
