"""Figure 2: the scale-invariant ConvNet at eight learning rates, and controls."""

from collections.abc import Callable
from typing import Any

import numpy as np

from limitcycle.paper.claim import Claim, Finding, holds_if, undecided
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import PANELS, Experiment, Runs
from limitcycle.paper.questions.grids import (
    BAND_REFUTED,
    BEST_REFUTED,
    FREQUENCY_REFUTED,
    Grid,
    band,
    best_inside,
    frequency,
)
from limitcycle.paper.questions.products import warm_up_steps
from limitcycle.paper.questions.reading import (
    consistent,
    jumps,
    listed,
    period_units,
    periodic,
    power_law,
    share,
    unbroken,
)
from limitcycle.paper.scale import Scale
from limitcycle.reading.history import History
from limitcycle.report.figure import Figure
from limitcycle.report.panels import panels_of

CONTROLS: dict[str, dict[str, Any]] = {
    "no weight decay": {"weight_decay": 0.0},
    "no normalisation": {"norm": "none"},
    "GroupNorm": {"norm": "group"},
    "LayerNorm": {"norm": "layer"},
}


def runs(scale: Scale) -> Runs:
    """The grid of learning rates, and the controls at the faster rate."""
    grid = {label(lr): scale.shared(lr) for lr in scale.lrs}
    controls = {
        name: scale.run("convnet-cifar10", lr=scale.fast_lr, **changes)
        for name, changes in CONTROLS.items()
    }
    return {**grid, **controls}


def label(lr: float) -> str:
    """A learning rate as a label."""
    return f"η = {lr:g}"


def grid(scale: Scale) -> Grid:
    """Its learning rates as a grid."""
    labels = {lr: label(lr) for lr in scale.lrs}
    return Grid("η", labels, "the paper's ConvNet: 0.003 to 0.3")


def draw(evidence: Evidence) -> list[Figure]:
    """The paper's four panels at its representative learning rates."""
    scale = evidence.scale
    histories = [evidence.first(label(lr)) for lr in scale.shown]
    return [panels_of(histories, PANELS, "epochs")]


def larger_norms(evidence: Evidence) -> Finding:
    """In the consistent stage ρ² ∝ η^e with e between 1/4 and 1 (Proposition 3: 1/2)."""
    pairs = []
    for lr in evidence.scale.lrs:
        for history in filter(periodic, evidence[label(lr)]):
            norm = history.columns["norm"][consistent(history)]
            pairs.append((lr, float(np.exp(np.nanmean(np.log(norm**2))))))
    if len({lr for lr, _ in pairs}) < 3:
        return undecided("fewer than three learning rates have periods")
    law = power_law([lr for lr, _ in pairs], [norm for _, norm in pairs])
    return holds_if(
        0.25 <= law.exponent <= 1,
        f"geometric mean of ρ² grows with η to the power {law}",
        exponent=[law.exponent, law.low, law.high],
    )


def warm_up(evidence: Evidence) -> Finding:
    """The consistent stage begins later, in steps, at lower learning rates."""
    lengths = [
        (lr, float(np.median([warm_up_steps(history) for history in found])))
        for lr in evidence.scale.lrs
        if len(found := [t for t in evidence[label(lr)] if periodic(t)]) > 0
    ]
    if len(lengths) < 3:
        return undecided("fewer than three learning rates have periods")
    steps = [step for _, step in lengths]
    return holds_if(
        steps == sorted(steps),
        "warm-up over at step " + ", ".join(f"{step:,.0f} (η = {lr:g})" for lr, step in lengths),
    )


def higher_first(evidence: Evidence) -> Finding:
    """The first jump starts at a larger norm than the later ones, at the two main rates.

    The later half of the jumps stands for the consistent stage. That stage itself would not do: it
    is defined as beginning where jumps come down to the norm of the later ones.
    """
    rates = (evidence.scale.fast_lr, evidence.scale.lr)
    found = {lr: [t for t in evidence[label(lr)] if periodic(t)] for lr in rates}
    ratios = {
        lr: [first_over_later(history) for history in histories] for lr, histories in found.items()
    }
    known = {lr: values for lr, values in ratios.items() if values}
    if not known:
        return undecided("neither of the two main learning rates has periods")
    words = (f"{listed(values)} at η = {lr:g}" for lr, values in known.items())
    return holds_if(
        all(np.median(values) > 1 for values in known.values()),
        f"norm at the first jump over that at the later ones: {'; '.join(words)}",
        ratios={f"{lr:g}": values for lr, values in known.items()},
    )


def first_over_later(history: History) -> float:
    """The norm's minimum of the first jump over the median minimum of the later half of them."""
    norm = history.diagnosis.events["norm_turn"].to_numpy(float)
    return float(norm[0] / np.median(norm[len(norm) // 2 :]))


def no_periods(control: str) -> Callable[[Evidence], Finding]:
    """The check that a control has none, in any seed."""

    def check(evidence: Evidence) -> Finding:
        histories = evidence[control]
        if not any(map(periodic, histories)):  # else it is refuted, however others ended
            unbroken(histories)
        count = [jumps(history) for history in histories]
        labels = ", ".join(history.diagnosis.label for history in histories)
        return holds_if(
            not any(map(periodic, histories)),
            f"{labels}; destabilisations: {listed(count, 'd')}",
            likely=_WITHOUT_NORMALISATION if control == "no normalisation" else "",
            jumps=count,
        )

    return check


def has_periods(control: str) -> Callable[[Evidence], Finding]:
    """The check that most seeds of a control have them."""

    def check(evidence: Evidence) -> Finding:
        histories = evidence[control]
        return holds_if(
            share(map(periodic, histories)) > 0.5,
            f"{', '.join(history.diagnosis.label for history in histories)}; period × ηλ: "
            f"{listed(map(period_units, histories))}",
        )

    return check


_WITHOUT_NORMALISATION = (
    "with the head frozen at a large norm, a ReLU net without normalisation also sharpens as its "
    "weights shrink or grow, and at high learning rates it is thrown off its minimum"
)


FIGURE = Experiment(
    number=2,
    title="Periodic behaviour of the scale-invariant ConvNet on CIFAR-10",
    question="At which learning rates does training with normalisation and weight decay repeat "
    "itself, and is it these two together that make it?",
    runs=runs,
    draw=draw,
    three_seeds=True,
    choices=(
        "controls (no weight decay, no normalisation, other normalisations) at the faster of the "
        "two rates that the other figures use: the paper names none",
    ),
    claims=(
        Claim(
            "band-lr",
            "Periods appear in a band of learning rates; below it there are none within the "
            "budget, above it training gets stuck.",
            "Section 5, Figure 2",
            BAND_REFUTED.format("a rate"),
            band(grid),
        ),
        Claim(
            "band-lr-best-error",
            "The best test error is reached inside the band.",
            "Section 5, Figure 2",
            BEST_REFUTED,
            best_inside(grid),
        ),
        Claim(
            "frequency-lr",
            "The higher the learning rate, the shorter the periods.",
            "Section 5",
            FREQUENCY_REFUTED.format("η"),
            frequency(grid),
        ),
        Claim(
            "norm-lr",
            "Higher learning rates lead to larger norms in the consistent stage.",
            "Section 5, Proposition 3 (ρ² ∝ √η at equal effective gradients)",
            "a fitted exponent of ρ² ∝ η^e outside of 1/4 … 1",
            larger_norms,
        ),
        Claim(
            "warm-up-lr",
            "The warm-up is longer at low learning rates.",
            "Section 5",
            "it (until the consistent stage, or the first jump where its beginning is not known; "
            "steps, median over seeds) is shorter at a lower learning rate",
            warm_up,
        ),
        Claim(
            "warm-up-jumps-norm",
            "Jumps of the warm-up happen at larger norms than those of the consistent stage.",
            "Section 5",
            "at one of the two main learning rates, where it has periods, the norm's minimum at "
            "the first jump is no larger than its median over the later half of the jumps (median "
            "over seeds)",
            higher_first,
        ),
        Claim(
            "control-weight-decay",
            "Without weight decay there are no periods.",
            "Section 3",
            "a periodic seed",
            no_periods("no weight decay"),
        ),
        Claim(
            "control-normalisation",
            "Without normalisation there are no periods.",
            "Section 3",
            "a periodic seed",
            no_periods("no normalisation"),
        ),
        Claim(
            "group-norm",
            "With GroupNorm there are periods, too.",
            "beyond the paper, which believes it (Section 7)",
            "no more than half of the seeds are periodic",
            has_periods("GroupNorm"),
        ),
        Claim(
            "layer-norm",
            "With LayerNorm there are periods, too.",
            "beyond the paper, which believes it (Section 7)",
            "no more than half of the seeds are periodic",
            has_periods("LayerNorm"),
        ),
    ),
)
