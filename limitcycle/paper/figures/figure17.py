"""Figure 17: the head's norm sets the confidence, and with it how low the loss can get."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from limitcycle.paper.claim import Claim, Finding, holds_if
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import Experiment, Runs
from limitcycle.paper.questions.practical import (
    WITH_CONFIDENCE,
    Check,
    confidence,
    keeps_periods,
    median,
    row,
)
from limitcycle.paper.scale import PAIR_TITLES, Pair, Scale
from limitcycle.report.figure import Figure
from limitcycle.report.track import Track

PAIRS: tuple[Pair, ...] = ("convnet-cifar10", "resnet18-cifar100")
USUAL = 10.0
# None: as initialised, √(classes/3). Of 100 classes that is 5.77 already.
HEAD_NORMS: Mapping[Pair, tuple[float | None, ...]] = {
    "convnet-cifar10": (20.0, USUAL, 5.0, None),
    "resnet18-cifar100": (20.0, USUAL, None),
}
UNITS = {"quick": 5.0, "laptop": 8.0, "paper": None}


def runs(scale: Scale) -> Runs:
    """Every pair with every norm of the head, at the fast rate."""
    return {
        label(pair, norm): scale.run(
            pair,
            lr=scale.fast_lr,
            units=UNITS[scale.name],
            head_norm=norm,
            **WITH_CONFIDENCE[scale.name],
        )
        for pair in PAIRS
        for norm in HEAD_NORMS[pair]
    }


def label(pair: Pair, norm: float | None) -> str:
    """A pair and a norm of its head."""
    return f"{pair}, {words(norm)}"


def words(norm: float | None) -> str:
    """A norm of the head for legends."""
    return "head as initialised" if norm is None else f"head norm {norm:g}"


def draw(evidence: Evidence) -> list[Figure]:
    """A row a pair: loss, test error, norm and confidence."""
    rows = []
    for pair in PAIRS:
        tracks = [
            replace(evidence.first(label(pair, norm)), label=words(norm))
            for norm in HEAD_NORMS[pair]
        ]
        title = (
            f"{evidence.scale.title(pair)}, η = {tracks[0].lr:g}, λ = {tracks[0].weight_decay:g}"
        )
        rows.append(row(tracks, title))
    return rows


def low_confidence(pair: Pair) -> Check:
    """With the head as initialised, confidence is lower and the lowest loss is higher."""

    def check(evidence: Evidence) -> Finding:
        measured = {}
        for norm in HEAD_NORMS[pair]:
            tracks = evidence[label(pair, norm)]
            sure, loss = median([*map(confidence, tracks)]), median([*map(lowest_loss, tracks)])
            labels = ", ".join(sorted({track.verdict.label for track in tracks}))
            measured[words(norm)] = (sure, loss, labels)
        usual, low = measured[words(USUAL)], measured[words(None)]
        text = "; ".join(
            f"{name}: confidence {sure:.3f}, lowest loss {loss:.2g} ({labels})"
            for name, (sure, loss, labels) in measured.items()
        )
        return holds_if(low[0] < usual[0] and low[1] > usual[1], text)

    return check


def lowest_loss(track: Track) -> float:
    """The smallest training loss, nats, as a mean over an epoch."""
    return float(np.nanmin(track.means["loss"]))


def _claims(pair: Pair) -> tuple[Claim, Claim]:
    on = f"{PAIR_TITLES[pair]}: "
    return (
        Claim(
            f"head-norm-low-{pair}",
            f"{on}a low norm of the head makes low confidence and keeps the loss from getting "
            "low, and periods may be absent.",
            "Appendix F, Figure 17",
            "with the head as initialised the confidence (mean largest softmax, last half of the "
            "run) is no lower than with norm 10, or the lowest loss no higher (medians over seeds)",
            low_confidence(pair),
        ),
        Claim(
            f"head-norm-usual-{pair}",
            f"{on}with the norm of the main experiments, 10, there are periods.",
            "Appendix F, Figure 17",
            "no more than half of the seeds are periodic",
            keeps_periods(label(pair, USUAL)),
        ),
    )


FIGURE = Experiment(
    number=17,
    title="Influence of the head's norm",
    question="Why is the frozen head scaled up: what becomes of confidence, loss and periods if "
    "it is not?",
    runs=runs,
    draw=draw,
    choices=(
        "norms besides 10 and that of the initialisation: half and twice the usual one, where "
        "these are not next to the initialisation's",
        "the faster of the two rates that the other figures use: more periods in the budget",
        "at quick scale the ResNet's twin has ten classes, too, and starts from norm 1.83",
        "confidence: mean largest softmax on the training images, batch statistics",
    ),
    claims=tuple(claim for pair in PAIRS for claim in _claims(pair)),
)
