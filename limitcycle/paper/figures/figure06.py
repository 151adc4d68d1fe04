"""Figure 6: does the periodic behaviour survive what is done in practice?"""

from dataclasses import replace
from typing import Any

from limitcycle.paper.claim import Claim
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import Experiment, Runs
from limitcycle.paper.figures.figure02 import label as plain_label
from limitcycle.paper.figures.figure15 import grid_run
from limitcycle.paper.questions.modifications import (
    ALL_TRAINED,
    BASE,
    HIGH_MOMENTUM,
    HIGH_PLAIN,
    ONE_AT_A_TIME,
    SAME_RATE,
    TOO_SMALL,
    WITH_AUGMENTATION,
    WITH_MOMENTUM,
    changed_frequency,
    faster_phases,
    larger_loss,
    later_onset,
    less_confident,
    momentum_fails,
    same_as_plain,
    schedule_ends,
    shorter_with_momentum,
    too_small,
)
from limitcycle.paper.questions.practical import (
    AUGMENTED,
    MOMENTUM,
    TRAINED,
    WITH_CONFIDENCE,
    keeps_periods,
    row,
    together_claims,
    together_run,
)
from limitcycle.paper.scale import Pair, Scale
from limitcycle.record import Run
from limitcycle.report.figure import Figure

PAIR: Pair = "convnet-cifar10-wide"
SCHEDULES = ("cosine", "step")

TOGETHER_RATES = {
    "quick": (0.3, 0.1, 0.03, 0.01),
    "laptop": (1.0, 0.3, 0.1, 0.03),
    "workstation": (1.0, 0.3, 0.1, 0.03),
    "paper": (0.3, 0.1, 0.03, 0.01, 0.003, 0.001),
}
SCHEDULED_RATE = {"quick": 0.1, "laptop": 0.1, "paper": 0.03}
UNITS = {"quick": 4.0}  # of 1/(ηλ), as many as the paper's 391,000 steps; else the scale's own
HIGH_UNITS = 20.0  # of 1/(ηλ)
HIGH_RATE = {"quick": 0.3, "laptop": 0.3, "paper": 0.3}  # inside the band of Figure 2
# As in the paper half the width of the other runs; whether that is too small the claim asks.
SMALLER: dict[str, dict[str, Any]] = {
    "quick": {"width": 32},
    "laptop": {"width": 4},
    "workstation": {"width": 8},
    "paper": {"width": 32},
}


def runs(scale: Scale) -> Runs:
    """Base and modifications, one at a time and together; high rates; schedules; plain grid."""
    high, scheduled = scale.of(HIGH_RATE), scale.of(SCHEDULED_RATE)
    return {
        BASE: _modified(scale),
        ALL_TRAINED: _modified(scale, **TRAINED),
        WITH_MOMENTUM: _modified(scale, **MOMENTUM),
        SAME_RATE: replace(_modified(scale, **MOMENTUM), lr=_tenth(scale.lr)),
        WITH_AUGMENTATION: _modified(scale, **AUGMENTED),
        TOO_SMALL: _modified(scale, **AUGMENTED, **scale.of(SMALLER)),
        HIGH_PLAIN: grid_run(scale, PAIR, high),
        HIGH_MOMENTUM: scale.run(PAIR, lr=high, units=HIGH_UNITS, **MOMENTUM),
        **{name: together_run(scale, PAIR, lr) for lr, name in together(scale).items()},
        **{name: together_run(scale, PAIR, scheduled, schedule=name) for name in SCHEDULES},
        **{name: scale.shared(lr) for lr, name in plain(scale).items()},
    }


def together(scale: Scale) -> dict[float, str]:
    """The learning rates of all modifications together, and their labels."""
    return {lr: f"all together, η = {lr:g}" for lr in scale.of(TOGETHER_RATES)}


def plain(scale: Scale) -> dict[float, str]:
    """The learning rates of the scale-invariant net, and their labels: the grid of Figure 2."""
    return {lr: plain_label(lr) for lr in scale.lrs}


def constant_rate(scale: Scale) -> str:
    """The label of the runs that the schedules are compared with."""
    return together(scale)[scale.of(SCHEDULED_RATE)]


def _modified(scale: Scale, **changes: Any) -> Run:
    budget = {"units": UNITS[scale.name]} if scale.name in UNITS else {}
    return scale.run(PAIR, **{**scale.of(WITH_CONFIDENCE), **budget, **changes})


def _tenth(lr: float) -> float:
    return float(f"{lr / 10:.6g}")


def draw(evidence: Evidence) -> list[Figure]:
    """One at a time; all together at several learning rates; all together with schedules."""
    scale = evidence.scale
    rate = scale.of(SCHEDULED_RATE)
    jointly = {name: f"η = {lr:g}" for lr, name in together(scale).items()}
    scheduled = {constant_rate(scale): "constant", **{name: name for name in SCHEDULES}}
    title = f"{scale.title(PAIR)}: one modification at a time"
    decay = evidence.first(constant_rate(scale)).weight_decay
    return [
        row(
            evidence,
            {name: name for name in ONE_AT_A_TIME},
            f"{title}, η = {scale.lr:g}, λ = {scale.weight_decay:g}",
        ),
        row(evidence, jointly, f"All modifications together, λ = {decay:g}"),
        row(evidence, scheduled, f"All modifications together, η = {rate:g} times a schedule"),
    ]


FIGURE = Experiment(
    number=6,
    title="Practical modifications, one at a time and together",
    question="Do trained heads and affine parameters, momentum and augmentation end the periodic "
    "behaviour, and if not, why is it seldom seen in practice?",
    runs=runs,
    draw=draw,
    choices=(
        "the learning rates of all modifications together: as many of the paper's steps (1, 3, "
        "10, …) as it takes to see the band's ends",
        "the schedules' learning rate: the middle of that band",
        "the net too small for augmentation: half the width of the others, as the paper's standard "
        "ConvNet beside its wider one",
        "momentum at a high rate: the highest of Figure 2's band with periods, momentum alone",
        "all modifications together see 128 digits at quick scale and 256 images, through a net "
        "twice as wide, at laptop scale: the nets of these scales never learn more augmented "
        "images (which the first row shows); λ = 0.001 there, as a larger one keeps a trained "
        "head from confidence",
        "confidence: mean largest softmax on the training images as they are, batch statistics",
        "the band without modifications is Figure 2's; bands are compared as ratios of learning "
        "rates, which λ does not change",
    ),
    claims=(
        Claim(
            "trained-keeps-periods",
            "Training the weights that are not scale-invariant retains the periods.",
            "Section 6",
            "no periods",
            keeps_periods(ALL_TRAINED),
        ),
        Claim(
            "trained-frequency",
            "Training the weights that are not scale-invariant changes the periods' frequency.",
            "Section 6",
            "the period changes by a factor of less than 1.2 (the t-interval of the ratio over "
            "seeds lies inside); undecided where that interval holds one of the ends",
            changed_frequency,
            pooled=True,
        ),
        Claim(
            "momentum-frequency",
            "With momentum there are periods, and they are more frequent.",
            "Section 6",
            "periods with momentum that are longer, or none; undecided where the t-interval of the "
            "ratio over seeds holds 1",
            shorter_with_momentum,
            pooled=True,
        ),
        Claim(
            "momentum-rate",
            "Momentum μ acts on the periods as a learning rate 1/(1 − μ) times as large.",
            "beyond the paper",
            "with momentum 0.9 at a tenth of the rate the period in steps differs from that of "
            "plain SGD by more than a factor 1.5 (the t-interval of the ratio over seeds lies "
            "outside), or there are none; undecided where that interval holds an end",
            same_as_plain,
            pooled=True,
        ),
        Claim(
            "momentum-phases",
            "Momentum speeds up phases A and B.",
            "Section 6",
            "one of the two is longer with momentum; undecided where the t-interval of the ratio "
            "over seeds holds 1",
            faster_phases,
            pooled=True,
        ),
        Claim(
            "momentum-high-rate",
            "At high learning rates training with momentum fails in phase A.",
            "Section 6",
            "at a rate with periods without momentum it is not stuck with momentum",
            momentum_fails,
        ),
        Claim(
            "augmentation-onset",
            "With augmentation the periods begin later.",
            "Section 6",
            "the first destabilisation comes no later with augmentation",
            later_onset,
        ),
        Claim(
            "augmentation-confidence",
            "With augmentation predictions on the training set are less confident.",
            "Section 6",
            "the mean largest softmax, median over the last half of the run, is larger with "
            "augmentation; undecided where the t-interval of the difference over seeds holds 0",
            less_confident,
            pooled=True,
        ),
        Claim(
            "augmentation-loss",
            "With augmentation the training loss is larger.",
            "Section 6",
            "the median loss of the last half of the run is smaller with augmentation; undecided "
            "where the t-interval of the ratio over seeds holds 1",
            larger_loss,
            pooled=True,
        ),
        Claim(
            "augmentation-small-net",
            "A net too small to learn the augmented data has no periods.",
            "Section 6",
            "a destabilisation; undecided if the net learns the data: loss (median of the run's "
            "last half) below a tenth of the initial",
            too_small,
        ),
        *together_claims(PAIR, plain, together, "Figure 6"),
        *(
            Claim(
                f"schedule-{name}",
                f"A {name} learning-rate schedule ends the periods.",
                "Section 6",
                "a destabilisation in the last quarter of the run, where the learning rate is "
                "low; undecided with fewer than two there at a constant rate, or none at all",
                schedule_ends(name, constant_rate),
            )
            for name in SCHEDULES
        ),
    ),
)
