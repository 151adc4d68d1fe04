"""Figure 17: the head's norm sets the confidence, and with it how low the loss can get."""

from collections.abc import Mapping

import numpy as np

from limitcycle.paper.claim import Claim, Finding, holds_if, undecided
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import Experiment, Runs
from limitcycle.paper.questions.practical import (
    WITH_CONFIDENCE,
    Check,
    confidence,
    keeps_periods,
    row,
)
from limitcycle.paper.questions.reading import unbroken
from limitcycle.paper.scale import Pair, Scale
from limitcycle.reading.history import History
from limitcycle.report.figure import Figure

PAIRS: tuple[Pair, ...] = ("convnet-cifar10", "resnet18-cifar100")
PUBLISHED = 10.0
# Of the norm in the main experiments. None: as initialised, √(classes/3): of 100 classes 5.77.
FACTORS: Mapping[Pair, tuple[float | None, ...]] = {
    "convnet-cifar10": (2.0, 1.0, 0.5, None),
    "resnet18-cifar100": (2.0, 1.0, None),
}
UNITS = {"quick": 5.0, "laptop": 8.0, "paper": None}


def runs(scale: Scale) -> Runs:
    """Every pair with every norm of the head, at the fast rate."""
    return {
        label(pair, norm): scale.run(
            pair,
            lr=scale.fast_lr,
            units=scale.of(UNITS),
            head_norm=norm,
            **scale.of(WITH_CONFIDENCE),
        )
        for pair in PAIRS
        for norm in head_norms(scale, pair)
    }


def usual(scale: Scale, pair: Pair) -> float:
    """The head's norm in the main experiments with this pair at this scale."""
    return float(scale.worlds[pair].settings.get("head_norm", PUBLISHED))


def head_norms(scale: Scale, pair: Pair) -> tuple[float | None, ...]:
    """The norms tried, largest first; None is the norm as initialised."""
    norm = usual(scale, pair)
    return tuple(None if factor is None else factor * norm for factor in FACTORS[pair])


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
        norms = head_norms(evidence.scale, pair)
        first = evidence.first(label(pair, norms[0]))
        title = f"{evidence.scale.title(pair)}, η = {first.lr:g}, λ = {first.weight_decay:g}"
        rows.append(row(evidence, {label(pair, norm): words(norm) for norm in norms}, title))
    return rows


def low_confidence(pair: Pair) -> Check:
    """With the head as initialised, confidence is lower and the lowest loss is higher."""

    def check(evidence: Evidence) -> Finding:
        measured: dict[str, tuple[float, float]] = {}
        for norm in head_norms(evidence.scale, pair):
            (history,) = unbroken(evidence[label(pair, norm)])
            measured[words(norm)] = (confidence(history), lowest_loss(history))
        high, low = measured[words(usual(evidence.scale, pair))], measured[words(None)]
        if not np.isfinite([*high, *low]).all():
            return undecided("confidence or loss was not measured")
        ours = {f"confidence, {name}": sure for name, (sure, _) in measured.items()}
        ours |= {f"lowest loss, {name}": loss for name, (_, loss) in measured.items()}
        return holds_if(low[0] < high[0] and low[1] > high[1], "", ours=ours)

    return check


def usual_periods(pair: Pair) -> Check:
    """With the norm of the main experiments there are periods."""
    return lambda evidence: keeps_periods(label(pair, usual(evidence.scale, pair)))(evidence)


def lowest_loss(history: History) -> float:
    """The smallest training loss, nats, as a mean over an epoch."""
    return float(np.nanmin(history.means["loss"]))


_SOURCE = "Appendix F, Figure 17"


def _claims(pair: Pair) -> tuple[Claim, Claim]:
    return (
        Claim(
            f"head-norm-low-{pair}",
            "a low norm of the head makes low confidence and keeps the loss from getting low, and "
            "periods may be absent.",
            _SOURCE,
            "with the head as initialised the confidence (mean largest softmax, last half of the "
            "run) is no lower than with the norm of the main experiments, or the lowest loss no "
            "higher",
            low_confidence(pair),
            pair=pair,
        ),
        Claim(
            f"head-norm-usual-{pair}",
            "with the norm of the main experiments there are periods.",
            _SOURCE,
            "no periods",
            usual_periods(pair),
            pair=pair,
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
        "norm of the main experiments: 10 as published, but 20 for ResNet-18 on CIFAR-100 at "
        "laptop scale, whose narrow net needs it; besides it and that of the initialisation twice "
        "the usual one, and half of it where this is not next to the initialisation's",
        "the faster of the two rates that the other figures use: more periods in the budget",
        "at quick scale the ResNet's twin has ten classes, too, and starts from norm 1.83",
        "confidence: mean largest softmax on the training images, batch statistics",
        "thin lines: the other seeds",
    ),
    claims=tuple(claim for pair in PAIRS for claim in _claims(pair)),
)
